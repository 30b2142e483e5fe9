"""Facts about a model that a card states but cannot measure, as plain values."""

from collections.abc import Mapping
from typing import NamedTuple

from training.card.learning_curve import LearningCurve

SettingValue = str | int | float | bool | tuple[int, ...] | tuple[str, ...] | None


class About(NamedTuple):
    """A model's origin."""

    name: str
    """Name of the package."""
    model: str
    """Kind of model, for example "variational autoencoder"."""
    data: str
    """Title of the data, in one line."""
    train_rows: int
    validation_rows: int
    test_rows: int
    likelihood: str
    """Family and constants, for example "binomial (trials 16)"; "none" without one."""
    networks: str
    """A short description of encoder and decoder."""
    settings: Mapping[str, SettingValue]
    """Settings that differ from their defaults, with values as `vae train --config` takes them."""
    default_prior: str = "standard"
    encoder_afterwards: bool = False
    """Whether the encoder was trained after the decoder, on what that decodes."""
    skipped: tuple[str, ...] = ()
    """One line for each item that was left out of the data."""
    notes: tuple[str, ...] = ()
    """One line for each fact about the data that users of the model should know."""
    epochs: str = ""
    """How long the run was and which epoch is exported; empty for a kind without steps."""
    curve: LearningCurve | None = None
    """Its losses; None if they are not known."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty if the data has only numbers."""
