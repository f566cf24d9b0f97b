"""A lab behind a proxy that keeps the path, as jupyter-server-proxy can: its pages work there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from support.terminal import Terminal

from orderkit.lab import Lab
from orderkit.stack.jupyter import FIRST_NOTEBOOK, Jupyter
from orderkit.stack.lifecycle import down
from orderkit.stack.secrets import make_secrets
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import choose

PREFIX = "/user/ada/proxy/absolute"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Started by `orderkit lab` in a terminal of JupyterHub, which copies the notebooks; the servers run on."""
    hub = {"JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/ada/", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    terminal = Terminal(tmp_path, {"HOME": str(tmp_path), **hub})
    try:
        done = await asyncio.to_thread(terminal.run, "lab")
        assert done.returncode == 0, done.stderr
        assert f"Open notebooks/{FIRST_NOTEBOOK}" in done.stdout
        assert (tmp_path / "notebooks" / FIRST_NOTEBOOK).is_file()
        lab = await Lab.start(tmp_path / ".orderkit")  # it goes by what the lab was told; here is no hub
        yield lab
        await lab.close()
    finally:
        await asyncio.to_thread(down, tmp_path / ".orderkit")


async def test_pages_work_below_the_hubs_path(lab: Lab) -> None:
    order = await lab.orders.start("tea", review="none")
    await lab.orders.wait(order)
    urls = {**lab.urls, **await lab.orders.links(order)}
    assert all(url.startswith(f"https://hub.example{PREFIX}/") for url in urls.values()), urls
    async with httpx.AsyncClient(trust_env=False) as http:

        async def behind_the_hub(url: str, method: str = "GET", **more: object) -> httpx.Response:
            """What the proxy makes of it: the same path and Host, at the port that the path names."""
            path = url.removeprefix("https://hub.example")
            port = path.removeprefix(f"{PREFIX}/").split("/")[0]
            headers = {"Host": "hub.example", "Origin": "https://hub.example", "Sec-Fetch-Site": "same-origin"}
            return await http.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, **more)  # type: ignore[arg-type]

        for name in ("Temporal's UI", "tea in Temporal's UI"):
            page = await behind_the_hub(urls[name] + ("/" if name == "Temporal's UI" else ""))
            base = urls["Temporal's UI"].removeprefix("https://hub.example")
            assert (page.status_code, f'base: "{base}"' in page.text) == (200, True), page.text
        docs = await behind_the_hub(urls["the REST API"])
        api = urls["the REST API"].removesuffix("/docs")
        assert (docs.status_code, f"{api.removeprefix('https://hub.example')}/openapi.json" in docs.text) == (200, True)
        assert (await behind_the_hub(f"{api}/openapi.json")).json()["servers"] == [
            {"url": api[len("https://hub.example") :]}
        ]
        started = await behind_the_hub(f"{api}/orders/from-the-docs/start", "POST", json={"review": "none"})
        assert started.status_code == 201, started.text
        # Without the prefix as well, which a notebook uses; another site's page is still refused.
        own = f"http://127.0.0.1:{api.rsplit('/', 1)[1]}"
        assert (await http.get(f"{own}/orders/from-the-docs/status")).status_code == 200
        # Another proxy says in Host where it found the API, as Codespaces may.
        ours = {"Origin": "https://hub.example", "Sec-Fetch-Site": "same-origin"}
        assert (await http.post(f"{own}/orders/again/start", json={}, headers=ours)).status_code == 201
        ours["Origin"] = "https://elsewhere.example"
        assert (await http.post(f"{own}/orders/evil/start", json={}, headers=ours)).status_code == 403
        foreign = await http.get(f"{own}/orders", headers={"Host": "elsewhere.example"})
        assert foreign.status_code == 403


def test_jupyterlab_answers_a_browser_that_sees_it_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    stack = Stack(tmp_path, choose(None, {})[0], make_secrets(tmp_path), public_url="https://ada-{port}.example")
    with Jupyter(stack, tmp_path, port=0) as jupyter, httpx.Client(trust_env=False) as http:

        def asked_as(host: str) -> int:
            headers = {"Host": host, "Authorization": f"token {jupyter.token}"}
            return http.get(f"http://127.0.0.1:{jupyter.port}/api/status", headers=headers).status_code

        assert asked_as(f"ada-{jupyter.port}.example") == 200
        assert asked_as("localhost") == 200
        assert asked_as("elsewhere.example") == 403
