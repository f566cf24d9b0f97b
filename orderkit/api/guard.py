"""HTTP middleware that guards every call: who may call (host, origin, key), and with what (JSON, at most 64 KiB)."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orderkit.api.problems import problem
from orderkit.errors import SettingsError

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
# No secret is behind these, and probes and the first load of a page carry no key.
OPEN_PATHS = ("/health", "/docs", "/openapi.json", "/static-offline-docs/")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusted_hosts(bound: str) -> frozenset[str] | None:
    """The names a Host header may say. None, any, when bound to every address: there, the key keeps strangers out."""
    if bound in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return None
    own = set() if is_loopback(bound) else {socket.gethostname().lower(), socket.getfqdn().lower()}
    return LOOPBACK_NAMES | {bound.lower()} | own


def check_key(host: str, api_key: SecretStr | None) -> None:
    """Raise SettingsError when others than this machine could call without a key."""
    if not is_loopback(host) and not (api_key and api_key.get_secret_value()):
        raise SettingsError(f"the API on {host} would be open to everybody; set ORDERKIT_API_KEY, or bind 127.0.0.1")


class Guard:
    """ASGI middleware, since it is on every call's way; refuses with application/problem+json.

    `public_url` is where a browser elsewhere reaches the API: its host is trusted as well.
    """

    def __init__(self, app: ASGIApp, host: str, api_key: SecretStr | None, public_url: str = "") -> None:
        self._app = app
        public = urlsplit(public_url)
        hosts = trusted_hosts(host)
        self._hosts = hosts and hosts | {public.hostname or host.lower()}
        self._path = public.path.rstrip("/")
        self._own_page = public.netloc.lower()
        self._key = api_key.get_secret_value().encode() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refuse(scope, headers)
        if refusal is None and has_body(headers):
            refusal, receive = await take_body(headers, receive)
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        host = headers.get("host", "")
        if self._hosts is not None and hostname(host) not in self._hosts:
            return problem("foreign-host", 403, "Foreign host", "the name in the Host header is not a name of this API")
        if is_foreign(scope["method"], host, headers, self._own_page):
            return problem("foreign-origin", 403, "Foreign page", "a page of another origin may not call this API")
        if self._key is None or scope["path"].removeprefix(self._path).startswith(OPEN_PATHS):
            return None
        if hmac.compare_digest(given_key(headers), self._key):
            return None
        detail = "send the key (ORDERKIT_API_KEY of the API) in the header X-API-Key, or as a bearer token"
        return problem(
            "api-key", 401, "API key needed", detail, headers={"WWW-Authenticate": 'ApiKey realm="orderkit"'}
        )


def given_key(headers: Mapping[str, str]) -> bytes:
    """The caller's key; a bearer token is for programs that can send no other header, such as Prometheus."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return headers.get("x-api-key", bearer).encode("latin-1")


def hostname(host: str) -> str:
    """The Host header without its port, in lower case; empty when it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_foreign(method: str, host: str, headers: Mapping[str, str], own_page: str = "") -> bool:
    """Whether another site's page sends this. A browser does not ask the API before a POST without a body.

    `own_page` is the host of our own page where a proxy puts another one into `Host`.
    """
    site = headers.get("sec-fetch-site", "none")
    if method in SAFE_METHODS:
        return site == "cross-site" and headers.get("sec-fetch-mode") != "navigate"
    if site not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() not in (host.lower(), own_page or host.lower())


def has_body(headers: Mapping[str, str]) -> bool:
    """Whether the client announced a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def take_body(
    headers: Mapping[str, str], receive: Receive, most_bytes: int = MAX_BODY_BYTES
) -> tuple[Response | None, Receive]:
    """Read the whole body, bounded in type, size and time; returns a refusal, or a `receive` that gives it again."""
    media_type, _, _ = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        return problem("not-json", 415, "Not JSON", "send the body as application/json"), receive
    body = bytearray()
    announced = headers.get("content-length", "0")
    too_large = announced.isdecimal() and int(announced) > most_bytes
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = not too_large
            while more:
                message = await receive()
                body += message.get("body", b"")
                too_large = len(body) > most_bytes
                more = message.get("more_body", False) and not too_large
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_SECONDS:g} s"
        return problem("too-slow", 408, "Too slow", detail, headers={"Connection": "close"}), receive
    if too_large:
        return problem("too-large", 413, "Too large", f"a body has at most {most_bytes // 1024} KiB"), receive
    taken: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return taken.pop() if taken else await receive()

    return None, again
