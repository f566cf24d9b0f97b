"""What a process is told by its environment (`ORDERKIT_*`), read in the composition roots only.

Temporal's own connection settings are not here: they come from Temporal's own `TEMPORAL_*` and TOML configuration.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orderkit.errors import SettingsError

HOME_FOLDER = ".orderkit"


def find_home() -> Path:
    """The lab's state folder: `ORDERKIT_HOME`, else the nearest `.orderkit` at or above here, else `./.orderkit`."""
    if told := os.environ.get("ORDERKIT_HOME"):
        return Path(told).expanduser().resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / HOME_FOLDER).is_dir():
            return (folder / HOME_FOLDER).resolve()
    return (here / HOME_FOLDER).resolve()


class Settings(BaseSettings):
    """Raises SettingsError, which names each variable that is wrong and never shows its value."""

    model_config = SettingsConfigDict(env_prefix="ORDERKIT_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr = Field(
        SecretStr("postgresql://orderkit@127.0.0.1:5432/orderkit"),
        description="PostgreSQL, as a URL; holds the password",
    )
    database_pool_size: int = Field(10, ge=1, le=100, description="connections per process")
    api_host: str = Field("127.0.0.1", min_length=1, description="address the REST API binds to")
    api_port: int = Field(8000, ge=1, le=65535, description="port of the REST API")
    api_key: SecretStr | None = Field(None, description="required in X-API-Key; a must unless bound to loopback")
    home: Path = Field(default_factory=find_home, description="the lab's state folder")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe line that is logged"
    )
    worker_slots: int = Field(
        1_000, ge=1, le=100_000, description="activities at once, per task queue and worker process"
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url

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
            return handler(data)
        except ValidationError as error:
            wrong = [f"ORDERKIT_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
            raise SettingsError("these settings are wrong: " + "; ".join(wrong)) from None
