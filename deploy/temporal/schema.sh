#!/bin/sh
# Temporal's two databases and their tables, by its own tool, in the image temporalio/admin-tools: made where they are missing,
# brought up to date where they are old. The tool reads SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
set -eu
schemas=/etc/temporal/schema/postgresql/v12
set_up() { # a database's name, and the folder with its migrations
  temporal-sql-tool --db "$1" create
  temporal-sql-tool --db "$1" setup-schema -v 0.0
  temporal-sql-tool --db "$1" update-schema -d "$schemas/$2/versioned"
}
set_up temporal temporal
set_up temporal_visibility visibility
