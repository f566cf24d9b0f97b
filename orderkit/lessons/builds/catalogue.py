"""Which code belongs to which build id of the lesson."""

from __future__ import annotations

from orderkit.core.choices import check_choice
from orderkit.lessons.builds import hasty, patched, typo
from orderkit.lessons.museum.deaf_order import DeafOrder

LESSON_DEPLOYMENT = "lesson-08"
LESSON_QUEUE = "lesson-08-tq"
CODE: dict[str, type] = {
    "deaf": DeafOrder,
    "hasty": hasty.DeafOrder,
    "patched": patched.DeafOrder,
    "typo": typo.DeafOrder,
}


def code_of(build: str) -> type:
    """The workflow as this build has it; raises InvalidOrder for an unknown build."""
    check_choice("build", build, CODE)
    return CODE[build]
