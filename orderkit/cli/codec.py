"""`orderkit codec …`: the key that encrypts payloads in Temporal, and the server that decrypts them for its UI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orderkit.cli.output import err, out

app = typer.Typer(help="Encrypt what Temporal stores, and read it in Temporal's UI.", no_args_is_help=True)


@app.command("new-key")
def new_key_command(
    file: Annotated[
        Path | None, typer.Option(help="Add the key at the top of this file; create the file if necessary.")
    ] = None,
) -> None:
    """Make a key for ORDERKIT_CODEC_KEY, or for the file that ORDERKIT_CODEC_KEY_FILE names."""
    from orderkit.temporal.codec import new_key

    if file is None:
        typer.echo(new_key())
        return
    before = file.read_text() if file.exists() else ""
    unfinished = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(f"{new_key()}\n{before}")
    unfinished.replace(file)
    out.print(f"{file} has a new key on top; restart workers and API: orderkit down, orderkit up", soft_wrap=True)


@app.command("serve")
def serve_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens, on this machine only.")] = 8081,
    origin: Annotated[
        list[str] | None, typer.Option(help="The web page that may ask; Temporal's UI by default.")
    ] = None,
) -> None:
    """Let Temporal's UI in this browser, or the temporal CLI, read payloads; until Ctrl-C."""
    from orderkit.api.codec_server import run_codec_server
    from orderkit.errors import SettingsError
    from orderkit.stack.target import find_target
    from orderkit.temporal.codec import url_token

    settings = find_target().settings
    keys = settings.codec_keys()
    if not keys:
        raise SettingsError("no key to serve with: set ORDERKIT_CODEC_KEY or ORDERKIT_CODEC_KEY_FILE")
    url = f"http://127.0.0.1:{port}/{url_token(keys[0])}"
    err.print(
        f"Codec endpoint, for the glasses in Temporal's UI or for temporal --codec-endpoint:\n{url}", soft_wrap=True
    )
    run_codec_server(keys, origin or _origins(settings.temporal_ui_url), port)


def _origins(url: str) -> list[str]:
    """The origins of this URL for a browser: this machine has two names."""
    from orderkit.errors import SettingsError

    parts = urlsplit(url)
    if not parts.netloc:
        raise SettingsError(f"Temporal's UI is at {url} behind a proxy: say its origin with --origin https://…")
    origin = f"{parts.scheme}://{parts.netloc}"
    return list(dict.fromkeys([origin, origin.replace("127.0.0.1", "localhost")]))
