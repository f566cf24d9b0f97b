"""What a round needs of the rounds before it, read from the lesson's own cells: names, orders, and things at hand.

A statement of an earlier round is needed if it defines a name that is used later. A cell of an earlier round is needed
if it does something with what is used later: an order or a workflow's run, by the name in the call, or a variable, such
as the museum. Of such a cell remain the statements that do something. Left out are what only looks (tables, charts,
checks), and what stops and kills programs: each round begins with a lab that runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from orderkit.lessons.statements import BEGINNING, Statement


def needed(statements: Sequence[Statement], round: str) -> list[Statement]:
    """The statements before this round that it, or a later one, needs; the lesson's beginning among them."""
    begins = next(at for at, each in enumerate(statements) if each.section == round)
    earlier = range(begins)
    beginning = {at for at in earlier if statements[at].section == BEGINNING}
    used = {at for at in beginning if statements[at].prepares} | set(range(begins, len(statements)))
    common = {"lab"} | {name for each in statements if each.imports for name in each.defines}
    while True:
        words = {word for at in used - beginning for word in statements[at].asks_for}
        at_hand = {name for at in used - beginning for name in statements[at].at_hand} - common
        cells = {
            statements[at].cell
            for at in earlier
            if statements[at].acts and (statements[at].words & words or statements[at].at_hand & at_hand)
        }
        more = {at for at in earlier if statements[at].acts and statements[at].cell in cells} - beginning
        more |= {_definer(statements, name, at) for at in used for name in statements[at].loads} & set(earlier)
        if more <= used:
            return [statements[at] for at in sorted(used) if at < begins]
        used |= more


def _definer(statements: Sequence[Statement], name: str, before: int) -> int:
    """The last statement before that one which defines the name, or -1: Python has it."""
    return next((at for at in range(before - 1, -1, -1) if name in statements[at].defines), -1)


def code_of(kept: Sequence[Statement], title: str) -> str:
    """One cell that runs these statements, and says what it has done."""
    blocks = [f"# Brings you to {title}: first the beginning of the lesson."]
    section = BEGINNING
    for each in kept:
        if each.section != section:
            section = each.section
            blocks.append(f"\n# Of round {section}, what you need later:")
        blocks.append(each.quiet)
    made = list(dict.fromkeys(word for each in kept for word in each.made))
    told = f"You are at {title}." + f" Made for you: {', '.join(made)}." * bool(made)
    return "\n".join([*blocks, f'\nprint("{told}")'])
