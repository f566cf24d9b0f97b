"""Every call of the REST API, and every body and answer, from its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from orderkit.api.app import create_app
from orderkit.settings import Settings
from reference.markup import anchor, anchored, code, sentence, table

Json = dict[str, Any]
PROBLEM = "ProblemDocument"


async def _connect() -> Any:
    raise NotImplementedError("the document is made without a server")


def document() -> Json:
    """The OpenAPI document of an API that asks for a key."""
    return create_app(Settings(api_host="127.0.0.1", api_key="…"), _connect).openapi()


def calls(openapi: Json) -> Iterator[tuple[str, Json]]:
    """Each call as `POST /orders/{order_id}/start`, with what the document says of it."""
    for path, methods in openapi["paths"].items():
        for method, call in methods.items():
            yield f"{method.upper()} {path}", call


def markdown() -> str:
    """The calls, then the bodies and answers that they name."""
    openapi = document()
    shown = [_call(name, call) for name, call in calls(openapi)]
    schemas = [_schema(name, schema) for name, schema in openapi["components"]["schemas"].items()]
    return "\n\n".join(["## Calls", *shown, "## Bodies and answers", *schemas])


def _call(name: str, call: Json) -> str:
    lines = [f"({anchor('call ' + name)})=\n### `{name}`", sentence(call.get("description") or call["summary"])]
    if parameters := call.get("parameters"):
        rows = [[code(each["name"]), each["in"], _kind(each["schema"]), _about(each)] for each in parameters]
        lines.append(table(["parameter", "in", "kind", "meaning"], rows))
    if "requestBody" in call:
        lines.append("Body: " + _content(call["requestBody"]) + ".")
    rows = [[status, _content(answer), _outcome(answer)] for status, answer in sorted(call["responses"].items())]
    lines.append(table(["status", "answer", "when"], rows))
    return "\n\n".join(lines)


def _outcome(answer: Json) -> str:
    text = answer["description"]
    return "It worked." if text == "Successful Response" else sentence(text)


def _content(holder: Json) -> str:
    kinds = [
        _kind(content["schema"]) if content.get("schema") else code(media_type)
        for media_type, content in holder.get("content", {}).items()
    ]
    return " or ".join(dict.fromkeys(kinds))


def _schema(name: str, schema: Json) -> str:
    lines = [f"({anchor('schema ' + name)})=\n### {name}", sentence(schema.get("description", ""))]
    if words := schema.get("enum"):
        lines.append("One of " + ", ".join(code(str(word)) for word in words) + ".")
    required = schema.get("required", [])
    if fields := schema.get("properties"):
        rows = [
            [anchored(field, f"{name}.{field}"), _kind(about), _default(about, field in required), _about(about)]
            for field, about in fields.items()
        ]
        lines.append(table(["field", "kind", "default", "meaning"], rows))
    return "\n\n".join(line for line in lines if line)


def _about(field: Json) -> str:
    schema = field.get("schema", field)
    bounds = [
        f"{word} {schema[key]:,.15g}" if isinstance(schema[key], float) else f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxItems", "at most"),
            ("maxLength", "at most"),
        )
        if key in schema
    ]
    units = {"maxItems": " of them", "maxLength": " characters"}
    unit = next((words for key, words in units.items() if key in schema), "")
    return " ".join(
        filter(None, [sentence(field.get("description", "")), sentence(", ".join(bounds) + unit if bounds else "")])
    )


def _default(schema: Json, required: bool) -> str:
    if required:
        return "required"
    default = schema.get("default")
    if isinstance(default, list | dict):
        return code(json.dumps(default)) if default else ""
    return code(str(default)) if default not in (None, "") else ""


def _kind(schema: Json) -> str:
    """What a value is, with links to the schemas that it names."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{anchor('schema ' + name)})"
    if choices := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in choices))
    if words := schema.get("enum"):
        return ", ".join(code(str(word)) for word in words)
    if "const" in schema:
        return code(str(schema["const"]))
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"a list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(inner := schema.get("additionalProperties"), dict):
        return f"an object of {_kind(inner)}"
    if kind == "null":
        return "null"
    return {"date-time": "a time"}.get(schema.get("format", ""), kind)
