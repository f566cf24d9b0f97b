"""The passwords of one lab, and files that only their owner may read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from secrets import token_hex

from orderkit.errors import LabError
from orderkit.stack.postgres import DATA_FOLDER

_FILE = "secrets.json"


@dataclass(frozen=True)
class Secrets:
    """The passwords of one lab, made at its first start; in secrets.json, readable by its owner only."""

    postgres: str  # of PostgreSQL's superuser
    orderkit: str  # of the role that orderkit uses
    supervisor: str


def read_secrets(home: Path) -> Secrets:
    """The passwords of this folder; raises FileNotFoundError."""
    path = home / _FILE
    try:
        return Secrets(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise LabError(f"{path}, which holds PostgreSQL's passwords, is damaged ({error})") from None


def make_secrets(home: Path) -> Secrets:
    """The passwords of this folder, made if there are none yet."""
    path = home / _FILE
    if not path.exists():
        if (home / DATA_FOLDER).exists():
            raise LabError(
                f"{path}, which holds PostgreSQL's passwords, is gone: put it back, or remove {home} to start again"
            )
        write_private(path, json.dumps({each.name: token_hex(16) for each in fields(Secrets)}))
    return read_secrets(home)


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)
