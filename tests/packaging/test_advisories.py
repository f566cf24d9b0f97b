"""The look-up of known vulnerabilities, by pip-audit itself, at an advisory service on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.advisories import audit

WEAK = {"name": "jinja2", "ecosystem": "PyPI"}
ADVISORY = {
    "id": "TEST-1",
    "summary": "made up",
    "affected": [{"package": WEAK, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3"}]}]}],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows one vulnerability, as OSV's service tells it."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"vulns": [ADVISORY]} if asked["package"] == WEAK else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not to the test's output."""


@contextmanager
def advisory_service() -> Iterator[list[str]]:
    """The options that lead pip-audit there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ["-s", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/query"]
        server.shutdown()


def test_a_known_vulnerability_is_found() -> None:
    with advisory_service() as options:
        assert audit(["idna==3.10", "jinja2==2.0"], options) == (2, ["jinja2 2.0: TEST-1, mended in 3"])


def test_pins_without_a_vulnerability_pass() -> None:
    with advisory_service() as options:
        assert audit(["idna==3.10"], options) == (1, [])


def test_a_service_that_nobody_serves_is_no_pass() -> None:
    with advisory_service() as options:
        pass
    assert audit(["idna==3.10", "jinja2==2.0"], options) == (None, [])
