"""Every command and option, from the typer application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from orderkit.cli import app
from reference.markup import anchored, code, escaped, table


def commands() -> Iterator[tuple[str, Any]]:
    """Each command's whole name and itself, as the help lists them; groups are left out, their commands are not."""
    yield from _below("orderkit", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _below(f"{name} {word}", inner)
    elif not command.hidden:
        yield name, command


def options(command: Any) -> list[Any]:
    """A command's arguments and options, but for the help."""
    return [each for each in command.params if each.name != "help" and not getattr(each, "hidden", False)]


def spelled(parameter: Any) -> str:
    """`ORDER_ID` for an argument, `--wait` for an option, `--quiet / --no-quiet` for one with two faces."""
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    words = "/".join(parameter.opts)
    return " / ".join([words, *(["/".join(parameter.secondary_opts)] if parameter.secondary_opts else [])])


def markdown() -> str:
    """A heading for each command, then what it does, how it is written, and a table of its options."""
    parts = []
    for name, command in commands():
        lines = [f"## {name}", _prose(command.help or ""), f"```console\n{_usage(name, command)}\n```"]
        if rows := [_row(name, each) for each in options(command)]:
            lines.append(table(["option", "default", "what it does"], rows))
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts)


def _prose(text: str) -> str:
    return "\n\n".join(escaped(" ".join(part.split())) for part in text.split("\n\n"))


def _usage(name: str, command: Any) -> str:
    arguments = [each for each in options(command) if each.param_type_name == "argument"]
    words = [spelled(each) + ("…" if each.nargs == -1 else "") for each in arguments]
    words = [word if each.required else f"[{word}]" for word, each in zip(words, arguments, strict=True)]
    some = ["[OPTIONS]"] if len(arguments) < len(options(command)) else []
    return " ".join([name, *some, *words])


def _row(command: str, parameter: Any) -> list[str]:
    word = spelled(parameter)
    return [anchored(word, f"{command} {word}"), _default(parameter), escaped(parameter.help or "")]


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or default is False or default == "" or callable(default):
        return ""
    return code(str(default))
