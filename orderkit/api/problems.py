"""Every error as application/problem+json: which status, which type, and never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from orderkit.contract import FieldProblem, ProblemDocument, field_problems
from orderkit.errors import (
    DependencyUnavailable,
    InvalidOrder,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderkitError,
    OrderNotFound,
    Problem,
)

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"

# type (the last word of urn:orderkit:…), status, title
_KNOWN: dict[type[OrderkitError], tuple[str, int, str]] = {
    OrderNotFound: ("order-not-found", 404, "Order not found"),
    OrderConflict: ("order-conflict", 409, "Another order has this id"),
    OrderClosed: ("order-closed", 409, "The order has ended"),
    MessageRefused: ("message-refused", 409, "The order refused the message"),
    InvalidOrder: ("invalid-request", 422, "The request is not valid"),
    DependencyUnavailable: ("dependency-unavailable", 503, "A server that orderkit needs is away"),
}
_BY_STATUS = {
    400: ("invalid-request", 422, "The request is not valid"),
    404: ("no-such-page", 404, "No such page"),
    405: ("method-not-allowed", 405, "Method not allowed"),
}


def problem(
    kind: str,
    status: int,
    title: str,
    detail: str,
    *,
    dependency: str | None = None,
    problems: Sequence[Problem] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error answer."""
    body = ProblemDocument.model_validate(
        {
            "type": f"urn:orderkit:{kind}",
            "title": title,
            "status": status,
            "detail": detail,
            "dependency": dependency,
            "errors": [FieldProblem(field=p.field, message=p.message) for p in problems] if problems else None,
        }
    )
    return Response(body.model_dump_json(exclude_none=True), status, headers, MEDIA_TYPE)


def from_error(error: OrderkitError) -> Response:
    """The answer to one of orderkit's own errors."""
    for kind in type(error).__mro__:
        if known := _KNOWN.get(kind):
            name, status, title = known
            away = error.dependency if isinstance(error, DependencyUnavailable) else None
            problems = error.problems if isinstance(error, InvalidOrder) else None
            headers = {"Retry-After": "1"} if away else None
            return problem(name, status, title, str(error), dependency=away, problems=problems, headers=headers)
    logger.error("an error that has no place in the API", exc_info=error)
    return _internal()


def _internal() -> Response:
    return problem("internal", 500, "Internal error", "the API failed; its log says why")


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(OrderkitError)
    async def _own(_: Request, error: OrderkitError) -> Response:
        return from_error(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        return from_error(InvalidOrder(field_problems(error.errors())))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        name, status, title = _BY_STATUS.get(error.status_code, ("http", error.status_code, str(error.detail)))
        headers = dict(error.headers or {})
        return problem(name, status, title, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, error: Exception) -> Response:
        return _internal()


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a call, for OpenAPI; every call may also answer these: 401, 403, 422, 503."""
    words = {
        401: "the API key is missing or wrong",
        403: "the request comes from a foreign host or page",
        404: "no order has this id",
        409: "another order has this id, the order has ended, or it refused the message",
        413: "the body is larger than 64 KiB",
        415: "the body is not application/json",
        422: "the request is not valid; `errors` lists every problem",
        503: "a server that orderkit needs is away; `dependency` says which",
    }
    return {
        status: {"description": words[status], "model": ProblemDocument}
        for status in sorted({401, 403, 422, 503, *statuses})
    }
