"""What a training run can be told: one frozen value, read once."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vae.errors import TrainingError

DatasetName = Literal["digits"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
HiddenSize = Annotated[int, Field(ge=1, le=65_536)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Setting = str | int | float | bool | None


class Config(BaseModel):
    """Settings of a run; the keys of a TOML file are these fields. The defaults are tuned for `digits`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    dataset: DatasetName = "digits"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The run's random numbers start here; the split into training and held-out rows does not depend on it."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of one operation. More of them only pay for larger networks, and may change the last bits."""

    latent_size: Annotated[int, Field(ge=1, le=1024)] = 8
    hidden_sizes: Annotated[tuple[HiddenSize, ...], Field(min_length=1, max_length=16, strict=False)] = (256, 128)
    """Widths of the encoder's hidden layers; the decoder mirrors them."""

    epochs: Epochs = 350
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Rows a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """At its highest; a short linear warm-up leads there, a cosine from there to 1 % of it."""
    learning_rate_warmup: Fraction = 0.02
    """Fraction of all steps."""
    kl_warmup: Fraction = 0.1
    """Fraction of all steps over which the KL's weight grows linearly from 0 to 1."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.2
    """AdamW's, on weights and not on biases; it is multiplied by the learning rate."""
    input_noise: Fraction = 0.4
    """How noisy the encoder's input is in training; for counts, the probability with which each one is missed."""
    average_decay: Fraction = 0.99
    """Decay a step of the running average of the weights, which is what is evaluated and exported."""

    checkpoint_epochs: Epochs = 25
    """Epochs between checkpoints."""

    def to_settings(self) -> dict[str, Setting]:
        """Returns the fields as plain values; sizes become text such as "256-128"."""
        settings = self.model_dump()
        settings["hidden_sizes"] = "-".join(map(str, self.hidden_sizes))
        return settings


def parse_config(settings: dict[str, object], source: str = "") -> Config:
    """Returns the configuration with these settings, and defaults for the rest.

    Args:
        settings: values by field name.
        source: the file that they are from; empty: an error calls them by their flags.

    Raises:
        TrainingError: a key is unknown, or a value has the wrong type or is out of range; the message names the key.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"]))
        place = f"{source}: {key}" if source else _flag(key)
        if first["type"] == "extra_forbidden":
            raise TrainingError(f"{place}: no such key; known are {', '.join(Config.model_fields)}") from exc
        message = first["msg"][0].lower() + first["msg"][1:]
        raise TrainingError(f"{place}: {message}, not {_brief(first['input'])}") from exc


def read_settings(path: Path) -> dict[str, object]:
    """Returns the keys and values of a TOML file, which are not yet checked.

    Raises:
        TrainingError: the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise TrainingError(f"{path}: is nested too deeply") from exc
    except ValueError as exc:  # no TOML, no UTF-8, or a number of more digits than Python reads
        raise TrainingError(f"{path}: is no TOML: {exc}") from exc


def refuse_changes(saved: Config, given: dict[str, object]) -> None:
    """Makes sure that what is asked of a resumed run is what it was started with.

    Raises:
        TrainingError: a value differs; the message names its flag or key.
    """
    asked = parse_config({**saved.model_dump(), **given})
    for key, value in asked:
        before = getattr(saved, key)
        if value != before:
            raise TrainingError(f"{_flag(key)}: the run was started with {before}, it cannot be resumed with {value}")


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _brief(value: object) -> str:
    """Shows a value that may be as large as a file."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
