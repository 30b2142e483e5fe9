"""Settings: one frozen value, read once. Every field is also an environment variable: VAE_PORT, VAE_BATCH_ROWS, ..."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from vae.errors import StartupError


class Settings(BaseSettings):
    """How to serve. A flag of `vae serve` wins over the variable, the variable over the default."""

    model_config = SettingsConfigDict(env_prefix="VAE_", frozen=True, extra="forbid")

    package: Path = Field(description="the model package to serve, a directory")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 is every interface")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="what runs the graphs; cuda fails to start where there is none, auto then takes the cpu"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="threads of one inference; 0 is one per processor that may be used"
    )
    batch_rows: int = Field(64, ge=1, le=65_536, description="most rows in one batch")
    wait_milliseconds: float = Field(
        0.0, ge=0, le=1000, description="longest time a free device waits for a batch to fill"
    )
    queue_rows: int = Field(
        65_536, ge=1, le=2**31, description="most rows waiting for one graph; beyond it calls are refused"
    )
    queue_bytes: int = Field(
        256 * 2**20, ge=1, le=2**40, description="most bytes of rows waiting for one graph; one call always fits"
    )
    call_rows: int = Field(16_384, ge=1, le=2**31, description="most rows in one call")
    message_bytes: int = Field(
        64 * 2**20, ge=2**16, le=2**30, description="largest request; replies stay below it too, through call_rows"
    )
    stream_bytes: int = Field(
        8 * 2**20,
        ge=1,
        le=2**40,
        description="most bytes of one stream's calls and replies in flight; one call always fits",
    )
    drain_seconds: float = Field(
        0.2,
        ge=0,
        le=3600,
        description="time after SIGTERM in which calls are still taken, so that balancers see NOT_SERVING",
    )
    grace_seconds: float = Field(8.0, ge=0, le=3600, description="time that calls in flight get to finish after that")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe message logged")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.queue_rows < self.call_rows:
            raise ValueError(f"queue_rows ({self.queue_rows}) must hold a whole call, call_rows ({self.call_rows})")
        return self


def read_settings(flags: dict[str, str]) -> Settings:
    """Returns the settings from flags over environment variables over defaults.

    Args:
        flags: values given on the command line, by field name, as text.

    Raises:
        StartupError: a value is missing or out of range; names the setting.
    """
    try:
        return Settings(**flags)  # type: ignore[arg-type]  # flags are text, which pydantic parses
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise StartupError(f"setting {name} (VAE_{name.upper()}): {message}" if name else message) from exc
