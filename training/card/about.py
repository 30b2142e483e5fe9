"""What a card says of a model and cannot measure on it, as plain values."""

from collections.abc import Mapping
from typing import NamedTuple

SettingValue = str | int | float | bool | tuple[int, ...] | None


class About(NamedTuple):
    """A model's origin."""

    name: str
    """The package's."""
    model: str
    """What kind it is, for example "variational autoencoder"."""
    data: str
    """The data's title, in one line."""
    train_rows: int
    validation_rows: int
    test_rows: int
    likelihood: str
    """Family and constants, for example "binomial (trials 16)"."""
    networks: str
    """What encoder and decoder are, in one phrase."""
    settings: Mapping[str, SettingValue]
    """Keys of the run's configuration that differ from its defaults, with values as `vae train --config` takes them."""
    default_prior: str = "standard"
    skipped: tuple[str, ...] = ()
    """One line for each thing that was left out of the data."""
    notes: tuple[str, ...] = ()
    """One line for each thing that whoever uses the model should know of its data."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; none where they are numbers to begin with."""
