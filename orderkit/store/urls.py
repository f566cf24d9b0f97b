"""Reads a database URL, without connecting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

# libpq's variables that asyncpg reads, and their names in a URL.
_PARAMETERS = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGDATABASE": "dbname",
    "PGPASSFILE": "passfile",
    "PGSERVICE": "service",
    "PGSSLMODE": "sslmode",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLCRL": "sslcrl",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGKRBSRVNAME": "krbsrvname",
    "PGGSSLIB": "gsslib",
}
_FILES = ("passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl")


def complete_url(url: str, variables: Mapping[str, str]) -> str:
    """The URL with what libpq's variables (PGSSLMODE, PGPASSWORD …) add to it, and absolute paths.

    It means the same in a process that has none of these variables, and in another folder. What the URL says itself
    goes before the variables.
    """
    parts = urlsplit(url)
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    in_front = {
        "host": parts.hostname or parts.netloc.rpartition("@")[2],
        "port": _port_in_front(parts.netloc),
        "user": parts.username,
        "password": parts.password,
        "dbname": parts.path.strip("/") or said.get("database"),
    }
    for name, parameter in _PARAMETERS.items():
        if variables.get(name) and parameter not in said and not in_front.get(parameter):
            said[parameter] = variables[name]
    for parameter in _FILES:
        if said.get(parameter) and said[parameter] != "system":
            said[parameter] = os.path.abspath(Path(said[parameter]).expanduser())
    query = urlencode(said, quote_via=quote, safe="/,:")
    return f"{url.partition('?')[0]}?{query}" if query else url


def address_of(url: str, usual_port: int = 5432) -> tuple[str, int]:
    """Host and port of the first server that a URL names."""
    parts = urlsplit(url)
    said = dict(parse_qsl(parts.query))
    first = (
        unquote(parts.netloc.rpartition("@")[2]).partition(",")[0] or said.get("host", "localhost").partition(",")[0]
    )
    host, port = first, said.get("port", "").partition(",")[0]
    if first.startswith("["):  # IPv6
        host, _, after = first.removeprefix("[").partition("]")
        port = after.removeprefix(":") or port
    elif not first.startswith("/"):
        host, _, after = first.partition(":")
        port = after or port
    return host, int(port) if port.isdigit() else usual_port


def shown(url: str) -> str:
    """The URL without user, password and options, to be shown."""
    host, port = address_of(url)
    parts = urlsplit(url)
    database = parts.path.strip("/") or dict(parse_qsl(parts.query)).get("dbname", "")
    return f"postgresql://{f'[{host}]' if ':' in host else host}:{port}/{database}"


def _port_in_front(netloc: str) -> str:
    host = netloc.rpartition("@")[2].partition(",")[0]
    return host.rpartition("]")[2].partition(":")[2]
