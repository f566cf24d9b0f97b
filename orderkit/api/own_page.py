"""A page for one person, on loopback: its files, its buttons, and the token without which nothing of it answers."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orderkit.errors import OrderkitError

Answer = Callable[[Request], Awaitable[Response]]
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class OwnPage:
    """The page whose files `package` has: page.html, and a style sheet and a script called `name`."""

    package: str
    name: str
    cookie: str  # another for each page: cookies do not tell ports apart
    token: str = field(repr=False)

    def own(self, answer: Answer) -> Answer:
        """The same answer, for those who have the token in the address or in their cookie."""

        async def checked(request: Request) -> Response:
            given = request.query_params.get("token") or request.cookies.get(self.cookie, "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return PlainTextResponse("Open the address that the terminal shows.", 403, _HEADERS)
            return await answer(request)

        return checked

    def button(self, path: str, act: Callable[[Request], Awaitable[str]]) -> Route:
        """What a button calls: the page says what `act` returns, or why it cannot be."""

        async def pressed(request: Request) -> Response:
            try:
                return JSONResponse({"said": await act(request)}, headers=_HEADERS)
            except (OrderkitError, ValueError) as error:
                return JSONResponse({"said": str(error)}, 409, _HEADERS)

        return Route(path, self.own(pressed), methods=["POST"])

    def files(self, style_first: str = "") -> list[Route]:
        """The page at `/`, which gives the cookie, and what it loads; `style_first` comes before the style sheet."""

        async def page(_: Request) -> Response:
            response = Response(self._file("page.html"), media_type="text/html", headers=_HEADERS)
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return response

        async def style(_: Request) -> Response:
            return Response(style_first + self._file(f"{self.name}.css"), media_type="text/css", headers=_HEADERS)

        async def script(_: Request) -> Response:
            return Response(self._file(f"{self.name}.js"), media_type="text/javascript", headers=_HEADERS)

        return [
            Route("/", self.own(page)),
            Route(f"/{self.name}.css", self.own(style)),
            Route(f"/{self.name}.js", self.own(script)),
        ]

    def _file(self, name: str) -> str:
        return (resources.files(self.package) / name).read_text("utf-8")
