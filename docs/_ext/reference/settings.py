"""Every setting, from `orderkit.settings.Settings`."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from orderkit.settings import Settings
from reference.markup import anchored, code, sentence, table


def markdown() -> str:
    """A table: variable, default, what it is."""
    prefix = Settings.model_config["env_prefix"]
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"{prefix}{name}".upper()
        default = f"{_default(name, field.default)}{_allowed(field)}"
        rows.append([anchored(variable, variable), default, sentence(field.description or "")])
    return table(["variable", "default", "what it is"], rows)


def _default(name: str, default: Any) -> str:
    if name == "home":
        return "the nearest `.orderkit` at or above the current folder, else a new one here"
    if default is None or default is PydanticUndefined:
        return "none"
    return code(str(default.get_secret_value() if isinstance(default, SecretStr) else default))


def _allowed(field: Any) -> str:
    """What it may be, where that is said."""
    bounds = {type(each).__name__: each for each in field.metadata}
    if "Ge" in bounds and "Le" in bounds:
        return f", from {bounds['Ge'].ge:,} to {bounds['Le'].le:,}"
    words = [word for word in get_args(field.annotation) if isinstance(word, str)]
    return f", one of {', '.join(code(word) for word in words)}" if words else ""
