"""Metrics of a program, as Prometheus would read them."""

from __future__ import annotations

import httpx

from orderkit.stack.target import Target


async def scraped(url: str, target: Target) -> str:
    """What stands there; empty if the program does not answer."""
    key = target.settings.api_key
    headers = {"X-API-Key": key.get_secret_value()} if key and url.startswith(target.api_url) else {}
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            return (await http.get(url, headers=headers)).raise_for_status().text
    except httpx.HTTPError:
        return ""
