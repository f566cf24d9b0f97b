"""Run a line in a new kernel through JupyterLab's web socket, the way that a notebook in the browser takes."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from orderkit.stack.tcp_ports import LOOPBACK


async def run_in_kernel(port: int, token: str, code: str, within_seconds: float) -> str:
    """What went wrong, empty if nothing did. Raises TimeoutError, OSError, httpx.HTTPError and tornado's HTTPError."""
    headers = {"Authorization": f"token {token}"}
    server = f"{LOOPBACK}:{port}/api/kernels"
    async with asyncio.timeout(within_seconds), httpx.AsyncClient(headers=headers, trust_env=False) as http:
        started = (await http.post(f"http://{server}", json={}, timeout=within_seconds)).raise_for_status().json()
        kernel = f"{server}/{started['id']}"
        try:
            socket = await websocket_connect(HTTPRequest(f"ws://{kernel}/channels", headers=headers))
            try:
                return _problem_in(await _reply(socket, code))
            finally:
                socket.close()
        finally:
            await http.delete(f"http://{kernel}")


async def _reply(socket: WebSocketClientConnection, code: str) -> dict[str, Any]:
    """The content of the kernel's answer to this code; its other messages are passed over."""
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    header = {"msg_id": uuid.uuid4().hex, "session": uuid.uuid4().hex, "username": "", "version": "5.3"}
    header["msg_type"] = "execute_request"
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(asked))
    while (said := await socket.read_message()) is not None:
        message = json.loads(said)
        if message["msg_type"] == "execute_reply" and message["parent_header"].get("msg_id") == header["msg_id"]:
            return dict(message["content"])
    raise ConnectionResetError("JupyterLab closed the kernel's connection")


def _problem_in(reply: dict[str, Any]) -> str:
    return "" if reply["status"] == "ok" else f"{reply.get('ename', reply['status'])}: {reply.get('evalue', '')}"
