"""Settings from the environment (`ORDERKIT_*`), read in the composition roots only.

Temporal's own connection settings are not here: they come from Temporal's own `TEMPORAL_*` and TOML configuration.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orderkit.core.builds import BUILD_ID_PATTERN, DEPLOYMENT, DEPLOYMENT_PATTERN
from orderkit.errors import SettingsError

HOME_FOLDER = ".orderkit"
_KEY_BYTES = 32
# One a processor: more at once end no sooner, and each of them later. docs/performance.md has the measurement.
AT_ONCE = max(2, os.cpu_count() or 2)


def find_home() -> Path:
    """The lab's state folder: `ORDERKIT_HOME`, else the nearest `.orderkit` at or above here, else `./.orderkit`."""
    if told := os.environ.get("ORDERKIT_HOME"):
        return Path(told).expanduser().resolve()
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise SettingsError(
            "the current folder is gone: change into one that exists (in a notebook: open the notebook there again), "
            "or name the lab's folder with ORDERKIT_HOME"
        ) from None
    for folder in (here, *here.parents):
        if (folder / HOME_FOLDER).is_dir():
            return (folder / HOME_FOLDER).resolve()
    return (here / HOME_FOLDER).resolve()


def address_of_port(public_url: str, port: int) -> str:
    """Where a browser reaches this port of a lab; `public_url` is ORDERKIT_PUBLIC_URL, or empty."""
    return public_url.replace("{port}", str(port)) or f"http://127.0.0.1:{port}"


def path_of_port(public_url: str, port: int) -> str:
    """The path below which the browser sees this port; empty where it sees its root."""
    return urlsplit(address_of_port(public_url, port)).path.rstrip("/")


def _parse_keys(text: str) -> list[bytes]:
    """Keys between commas or white space, the first one encrypts. Raises ValueError, which never shows the text."""
    keys = []
    for number, word in enumerate(re.split(r"[\s,]+", text.strip()), start=1):
        try:
            key = base64.b64decode(word, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError(f"key {number} is not {_KEY_BYTES} bytes in base64; make one: orderkit codec new-key")
        keys.append(key)
    return keys


class Settings(BaseSettings):
    """Raises SettingsError, which names each variable that is wrong and never shows its value."""

    model_config = SettingsConfigDict(env_prefix="ORDERKIT_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr = Field(
        SecretStr("postgresql://orderkit@127.0.0.1:5432/orderkit"),
        description="PostgreSQL's URL, with the password",
    )
    database_read_url: SecretStr | None = Field(
        None, description="a streaming replica of it, which the API asks for status, lists and events"
    )
    database_pool_size: int = Field(10, ge=1, le=100, description="connections per process")
    api_host: str = Field("127.0.0.1", min_length=1, description="address the REST API binds to")
    api_port: int = Field(8000, ge=1, le=65535, description="port of the REST API")
    api_key: SecretStr | None = Field(
        None, description="the key that callers send in X-API-Key; required unless the API binds to loopback"
    )
    temporal_ui_url: str = Field(
        "http://127.0.0.1:8080", description="Temporal's UI, for links, if Temporal is not the lab's own"
    )
    public_url: str = Field(
        "",
        description="where a browser on another machine reaches the lab's ports; {port} stands for the port. "
        "JupyterHub and Codespaces say it themselves",
    )
    codec_key: SecretStr | None = Field(
        None, description="encrypts what Temporal stores; separate several by commas: the first encrypts, all decrypt"
    )
    codec_key_file: Path | None = Field(
        None, description="a file with such keys, one a line; used after those of ORDERKIT_CODEC_KEY"
    )
    home: Path = Field(default_factory=find_home, description="the lab's state folder")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="lines below this level are not logged"
    )
    worker_slots: int = Field(
        AT_ONCE,
        ge=1,
        le=100_000,
        description="attempts that work at once, per task queue and worker process; those that only wait do not count",
    )
    starts_at_once: int = Field(
        AT_ONCE,
        ge=1,
        le=10_000,
        description="orders that an API process starts at Temporal at the same time; the others wait for their turn",
    )
    worker_metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="address on which a worker serves its metrics, which hold no id or key"
    )
    worker_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="port of a worker's Prometheus metrics; 0: any free one; unset: none"
    )
    build_id: str = Field(
        "",
        pattern=f"^({BUILD_ID_PATTERN})?$",
        description="the worker's build id, for Temporal's Worker Versioning; empty: not versioned",
    )
    deployment: str = Field(
        DEPLOYMENT, pattern=f"^{DEPLOYMENT_PATTERN}$", description="the deployment that the worker's build belongs to"
    )
    traces: bool = Field(
        False, description="send OpenTelemetry traces where OTEL_EXPORTER_OTLP_ENDPOINT says; needs orderkit[otel]"
    )

    def codec_keys(self) -> list[bytes]:
        """Keys of the payload codec, the one that encrypts first; none: payloads stay plain. Raises SettingsError."""
        keys = []
        try:
            if self.codec_key:
                keys += _parse_keys(self.codec_key.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"ORDERKIT_CODEC_KEY: {error}") from None
        try:
            if self.codec_key_file:
                keys += _parse_keys(self.codec_key_file.expanduser().read_text())
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"ORDERKIT_CODEC_KEY_FILE {self.codec_key_file}: {why}") from None
        return keys

    @property
    def worker_metrics(self) -> str | None:
        """Host and port on which a worker shows its metrics; None: nowhere."""
        return None if self.worker_metrics_port is None else f"{self.worker_metrics_host}:{self.worker_metrics_port}"

    @field_validator("database_url", "database_read_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url

    @field_validator("temporal_ui_url")
    @classmethod
    def _is_a_web_address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://", "/")):  # a path: on the server that shows the notebook
            raise ValueError("must start with http:// or https://")
        return url.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _has_one_port(cls, url: str) -> str:
        if url and not (url.startswith(("http://", "https://", "/")) and url.count("{port}") == url.count("{") == 1):
            raise ValueError("must be an address, or its path, with {port} in it once")
        return url.rstrip("/")

    @field_validator("home")
    @classmethod
    def _is_absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @field_validator("log_level", mode="before")
    @classmethod
    def _is_upper_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @model_validator(mode="wrap")
    @classmethod
    def _friendly(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            settings = handler(data)
        except ValidationError as error:
            wrong = [f"ORDERKIT_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
            raise SettingsError("these settings are wrong: " + "; ".join(wrong)) from None
        settings.codec_keys()  # find an invalid key now, not with the first order
        return settings
