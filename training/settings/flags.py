"""The flags of `vae train` and similar verbs: one for each setting. Its docstring in `Config` is the help.

This file does not import PyTorch, because `--help` would wait for it.
"""

import argparse
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, get_args

from pydantic.fields import FieldInfo

from training.likelihoods import FAMILIES
from training.models import MODELS
from training.networks import NETWORKS
from training.settings.config import Config
from training.settings.directory import holds_nothing
from training.settings.resolve import PRESETS, complete, parse_config, preset_names, read_settings_file, refuse_unused
from training.settings.versions import read_version
from vaeserve.command.parser import path_text
from vaeserve.command.setting_flags import add_setting_flag, plain_types
from vaeserve.errors import TrainingError


def _sizes(text: str) -> list[int]:
    """Returns the whole numbers of "300,300", or of "64x64"."""
    try:
        return [int(size) for size in text.replace("x", ",").split(",")]
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between them, not {text!r}") from exc


def _names(text: str) -> list[str]:
    """Returns the names of "age,height"."""
    return [name.strip() for name in text.split(",")]


def _number_or(word: str, text: str) -> int | str:
    try:
        return text if text == word else int(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"must be a whole number or {word}, not {text!r}") from exc


GROUPS: Mapping[str, str] = {
    "data_dir": "data",
    "name": "model",
    "beta": "objective",
    "seed": "machine",
    "epochs": "steps",
    "mixture_components": "afterwards",
    "checkpoint_epochs": "the run's directory",
}
"""Title of each group of flags, by the first setting in it. Flags are in the order of `Config`."""
REGISTRIES: Mapping[str, Collection[str]] = {"model": MODELS, "network": NETWORKS, "likelihood": FAMILIES}


def add_settings(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Adds DATA and a flag for every setting except those in `without`; a flag's default is None."""
    parser.add_argument(
        "dataset",
        metavar="DATA",
        help="digits (comes with scikit-learn), mnist, fashion-mnist, a folder of images, or a .npy, .npz, .csv or "
        ".parquet file",
    )
    parser.add_argument(
        "--preset",
        choices=preset_names(),
        help="a set of settings, which flags and --config override; default: the one for the data",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="settings by name (latent_size = 16); flags override it",
    )
    group: argparse._ActionsContainer = parser
    for key in Config.model_fields:
        group = parser.add_argument_group(GROUPS[key]) if key in GROUPS else group
        if key not in without:
            add_flags(group, [key])


def add_flags(parser: argparse._ActionsContainer, keys: Iterable[str], default: str = "") -> None:
    """Adds the flags of these settings; skips the dataset, which is an argument without a flag.

    Args:
        parser: a parser, or a group of one.
        keys: the settings.
        default: the default that the help states for all of them; empty: each one's own in training.
    """
    for key in keys:
        if key == "dataset":
            continue
        value = default or _default_of(key)
        text = f"{_help_of(key)}{f' (default: {value})' if value else ''}"
        field = Config.model_fields[key]
        add_setting_flag(parser, key, field, text, read=_reader(key, field), metavar=_metavar(key, field))


def _reader(key: str, field: FieldInfo) -> Callable[[str], object]:
    """Returns a function from a flag's text to a value that `Config` takes."""
    kinds = plain_types(field.annotation)
    words = [word for word in kinds if isinstance(word, str)]
    if key == "version":
        return read_version
    if tuple in kinds:
        return _names if _holds_names(field) else _sizes
    if int in kinds:
        return partial(_number_or, words[0]) if words else int
    if float in kinds:
        return float
    return path_text if key.endswith("_dir") else str


def _metavar(key: str, field: FieldInfo) -> str:
    """Returns what stands for the value in the help; empty: the last word of the setting's name."""
    if key == "target":
        return "COLUMN"
    if tuple not in plain_types(field.annotation):
        return ""
    return "NAME,NAME" if _holds_names(field) else "N,N"


def _holds_names(field: FieldInfo) -> bool:
    """Whether a setting is a list of names, and not of numbers."""
    return bool(get_args(field.annotation)) and str in plain_types(get_args(field.annotation)[0])


def _help_of(key: str) -> str:
    """Returns a setting's help: its docstring, then the names of its values."""
    text = (Config.model_fields[key].description or "").rstrip(".")
    if text[1:2].islower():
        text = text[0].lower() + text[1:]
    return f"{text}: {', '.join(REGISTRIES[key])}" if key in REGISTRIES else text


def _default_of(key: str) -> str:
    """Returns a setting's default in training, as the help states it."""
    if key in _of_presets():
        return "the preset's"
    default = Config.model_fields[key].default
    return "" if default is None or default == () or isinstance(default, bool) else str(default)


@cache
def _of_presets() -> frozenset[str]:
    """Returns the settings that occur in any preset."""
    return frozenset(key for name in preset_names() for key in read_settings_file(PRESETS / f"{name}.toml"))


class RunSettings(NamedTuple):
    """What a command line says of a run."""

    config: Config
    """Of a new run."""
    required: dict[str, object]
    """The settings that a resumed run must have been started with: the user's, and those of a preset that was named."""
    given: Collection[str]
    """Names of the settings that a file or a flag sets."""


def settings_of(parser: argparse.ArgumentParser, options: argparse.Namespace) -> RunSettings:
    """Returns a run's settings.

    Exits with 2 where a setting is wrong or has no effect; one line names its flag, or its file and key.
    """
    try:
        overrides = _overrides(options)
        completed = complete(overrides, options.preset)
        config = parse_config(completed)
        # A run that exists has a model of its own.
        if not getattr(options, "resume", False) or holds_nothing(options.out):
            refuse_unused(config, overrides)
    except TrainingError as exc:
        parser.exit(2, f"vae: {exc}\n")
    return RunSettings(config, overrides if options.preset is None else completed, overrides.keys())


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    """Returns the settings of the file and the flags; flags win."""
    settings: dict[str, object] = {}
    if options.config:
        settings = read_settings_file(options.config)
        parse_config(settings, str(options.config))
    return settings | {key: value for key in Config.model_fields if (value := getattr(options, key, None)) is not None}
