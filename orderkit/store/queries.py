"""The named queries of `sql/queries`, as functions; for this package only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiosql


def sql_folder() -> Path:
    """The folder `sql`: inside the installed package, else in the repository."""
    packaged = Path(__file__).parents[1] / "_sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "sql"


# The functions are made from the .sql files, so no type checker can know them.
queries: Any = aiosql.from_path(sql_folder() / "queries", "asyncpg", mandatory_parameters=False)
