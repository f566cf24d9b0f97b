"""PostgreSQL: the only place that knows SQL exists. Queries are in `sql/queries`, the schema in `sql/migrations`."""
