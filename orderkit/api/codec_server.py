"""Temporal's remote codec, for its UI and CLI: shows payloads to those who have the key, while they run it.

A command of its own rather than a part of the API, which has no need to open payloads for anybody. It listens on
loopback only, and its address holds a token made from the key: other users of this machine reach it and learn nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence

import uvicorn
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from orderkit.api.guard import LOOPBACK_NAMES, hostname, take_body
from orderkit.api.http import listen
from orderkit.api.problems import problem
from orderkit.errors import SettingsError
from orderkit.temporal.codec import Codec, url_token

Change = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 8 * 1024 * 1024  # the UI asks for a whole page of history at once
_HEADERS = ["content-type", "x-namespace"]


def create_codec_server(keys: Sequence[bytes], origins: Sequence[str]) -> Starlette:
    """`/{token}/decode` and `/{token}/encode`, for pages of these origins and for programs. Raises SettingsError."""
    if not keys:
        raise SettingsError("the codec server needs ORDERKIT_CODEC_KEY, or ORDERKIT_CODEC_KEY_FILE")
    codec, token = Codec(keys), url_token(keys[0]).encode()

    async def answer(request: Request, change: Change) -> Response:
        if refusal := _refuse(request, token, origins):
            return refusal
        refusal, receive = await take_body(request.headers, request.receive, MAX_BODY_BYTES)
        if refusal:
            return refusal
        try:
            payloads = Parse((await receive())["body"], Payloads())
            text = MessageToJson(Payloads(payloads=await change(payloads.payloads)))
        except (ParseError, UnicodeDecodeError, RecursionError):
            return problem("invalid-request", 400, "Not payloads", 'send {"payloads": […]}, as Temporal does')
        except SettingsError as error:
            return problem("invalid-request", 400, "Cannot be opened", str(error))
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def decode(request: Request) -> Response:
        return await answer(request, codec.decode)

    async def encode(request: Request) -> Response:
        return await answer(request, codec.encode)

    return Starlette(
        routes=[
            Route("/{token}/decode", decode, methods=["POST"]),
            Route("/{token}/encode", encode, methods=["POST"]),
        ],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["POST"], allow_headers=_HEADERS)
        ],
    )


def run_codec_server(keys: Sequence[bytes], origins: Sequence[str], port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError when the port is taken."""
    app = create_codec_server(keys, origins)
    # No access log: the paths hold the token.
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none", lifespan="off")
    with listen(LOOPBACK, port, "--port") as listener:
        uvicorn.Server(config).run(sockets=[listener])


def _refuse(request: Request, token: bytes, origins: Sequence[str]) -> Response | None:
    if hostname(request.headers.get("host", "")) not in LOOPBACK_NAMES:
        return problem("foreign-host", 403, "Foreign host", "this server does not go by the name in the Host header")
    if not hmac.compare_digest(request.path_params["token"].encode(), token):
        return problem("no-such-page", 404, "No such page", "use the address that `orderkit codec serve` printed")
    origin = request.headers.get("origin")
    if origin is not None and origin not in origins:
        return problem("foreign-origin", 403, "Foreign page", "name that page's origin with --origin")
    return None
