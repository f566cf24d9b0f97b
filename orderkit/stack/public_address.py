"""Where the learner's browser reaches a lab's ports, when it runs on another machine than the lab."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "ORDERKIT_PUBLIC_URL"
HUB = "JUPYTERHUB_SERVICE_PREFIX"


def find_public_url(environment: Mapping[str, str] = os.environ) -> str:
    """The address with `{port}` in it; empty where the browser is on this machine.

    Under JupyterHub it needs jupyter-server-proxy. Where the hub does not say its own address, it is a path alone:
    right for links in a notebook.
    """
    if told := environment.get(VARIABLE):
        return told
    if prefix := environment.get("JUPYTERHUB_PUBLIC_URL") or environment.get(HUB):
        return f"{prefix.rstrip('/')}/proxy/absolute/{{port}}"
    name, domain = (
        environment.get(f"{each}") for each in ("CODESPACE_NAME", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    )
    return f"https://{name}-{{port}}.{domain}" if name and domain else ""
