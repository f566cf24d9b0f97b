"""A class in a file, so that a board that was started again goes on, and its times can be read later."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from orderkit.classroom.board import Board
from orderkit.errors import LabError

FILE = "class-board.json"
CLASS_SECONDS = 12 * 3600.0


@dataclass
class Record:
    """What is kept: the word and the token, the page's port, and the class."""

    word: str
    token: str
    page_port: int
    opened: float
    board: Board

    def write(self, file: Path) -> None:
        """For this user's eyes only."""
        data = {
            "word": self.word,
            "token": self.token,
            "page_port": self.page_port,
            "opened": self.opened,
            "board": self.board.dump(),
        }
        write_secret(file, json.dumps(data))


def read_record(file: Path) -> Record | None:
    """The class that was last open; None if there was none. Raises LabError for a spoilt file."""
    try:
        data = json.loads(file.read_text())
        return Record(data["word"], data["token"], data["page_port"], data["opened"], Board.load(data["board"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LabError(f"{file} cannot be read ({error}); begin a new class: orderkit class open --new") from error


def write_secret(file: Path, text: str) -> None:
    """Replace the file in one step, readable by this user only."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)
    draft.replace(file)
