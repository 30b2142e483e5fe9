"""Settings on their way to a `Config`: read from a file, laid over a preset, refused in a line where they are wrong."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from training.models import MODELS
from training.settings.config import Config
from training.settings.source import Source, flag_of, kind_of
from vaeserve.errors import TrainingError
from vaeserve.records import first_problem

S = TypeVar("S", bound=Source)

PRESETS = Path(__file__).parent / "presets"  # TOML files of settings, which flags and --config override
# Where data lies may change: that it is the same is the checksum's to say. A version is the package's alone.
CHANGEABLE = ("dataset", "data_dir", "version")
_LENGTHS = {"missing": "has too few values", "too_short": "has too few values", "too_long": "has too many values"}


def read_settings_file(path: Path) -> dict[str, object]:
    """Returns the keys and values of a TOML file, which are not yet checked.

    Raises:
        TrainingError: the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise TrainingError(f"{path}: is nested too deeply") from exc
    except ValueError as exc:  # no TOML, no UTF-8, or a number of more digits than Python reads
        raise TrainingError(f"{path}: is not valid TOML: {exc}") from exc


def preset_names() -> tuple[str, ...]:
    """Returns the names of the presets."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def preset_for(dataset: str) -> str:
    """Returns the name of the preset that a run on this data takes when told nothing; looks into a file of arrays.

    Raises:
        TrainingError: there is no such data.
    """
    match kind_of(dataset):
        case "digits" | "mnist" as known:
            return known
        case "pictures":
            return "images"
        case "columns":
            return "table"
        case "arrays":
            from vaeserve.sources.arrays import holds_images

            return "images" if holds_images(Path(dataset)) else "table"


def complete(given: dict[str, object], preset: str | None) -> dict[str, object]:
    """Returns the settings of a run: what a preset says, under what its model asks for, under what was given.

    Args:
        given: settings by name, from a file and flags.
        preset: its name; None takes the one for the data.

    Raises:
        TrainingError: a setting that was given contradicts the model, or there is no such data.
    """
    base = read_settings_file(PRESETS / f"{preset or preset_for(str(given.get('dataset', 'digits')))}.toml")
    model = given.get("model", base.get("model", "vae"))
    needed = MODELS[model].fixed if isinstance(model, str) and model in MODELS else {}
    for key, value in needed.items():
        if given.get(key, value) != value:
            raise TrainingError(f"{flag_of(key)}: the model {model} is defined with {value}, not {given[key]}")
    return {**base, **needed, **given}


def parse_config(settings: dict[str, object], source: str = "") -> Config:
    """Returns the configuration with these settings, and defaults for the rest.

    Args:
        settings: values by field name.
        source: the file that they are from; empty: an error calls them by their flags.

    Raises:
        TrainingError: a key is unknown, or a value has the wrong type or is out of range; the message names the key.
    """
    return _parse(Config, settings, source)


def parse_source(settings: dict[str, object]) -> Source:
    """Makes a Source of settings. Raises TrainingError as `parse_config` does."""
    return _parse(Source, settings, "")


def _parse(kind: type[S], settings: dict[str, object], source: str) -> S:
    try:
        return kind.model_validate(settings)
    except ValidationError as exc:
        where, problem = problem_of(exc, settings, kind.model_fields, "`vae train --help` lists them")
        place = f"{source}: {where}" if source else flag_of(where.partition(".")[0])
        raise TrainingError(f"{place}: {problem}") from exc


def problem_of(
    exc: ValidationError, settings: Mapping[str, object], known: Iterable[str], hint: str
) -> tuple[str, str]:
    """Returns where settings are wrong, as the key (empty: as a whole), and how, in a line.

    Args:
        exc: what was found.
        settings: values by key.
        known: all keys that there are.
        hint: what to say of a key that resembles none of them.
    """
    where, message, kind, given = first_problem(exc)
    key = where.partition(".")[0]
    if kind == "extra_forbidden":
        near = get_close_matches(where, known, n=1)
        return where, f"no such key; {f'did you mean {near[0]}?' if near else hint}"
    if kind == "missing" and key not in settings:
        return where, "is missing"
    if kind in _LENGTHS:
        return where, f"{_LENGTHS[kind]}: {brief(settings[key])}"
    if not where:
        return where, message
    return where, f"{message[0].lower()}{message[1:]}, not {brief(given)}"


def refuse_unused(config: Config, given: Iterable[str]) -> None:
    """Makes sure that every setting that was asked for has an effect.

    Args:
        config: what a run is to be.
        given: names of the settings that a file or a flag named; presets and defaults name none.

    Raises:
        TrainingError: one has none; the message names its flag, and what uses it.
    """
    for key, reason in config.unused(given).items():
        raise TrainingError(f"{flag_of(key)}: {reason}")


def refuse_changes(saved: Config, given: dict[str, object]) -> Config:
    """Returns the settings that a resumed run goes on with: those it was started with, but for what may change.

    Args:
        saved: what it was started with.
        given: what is asked of it.

    Raises:
        TrainingError: a value differs; the message names its flag or key.
    """
    asked = parse_config({**saved.model_dump(), **given})
    for key, value in asked:
        before = getattr(saved, key)
        if value != before and key not in CHANGEABLE:
            raise TrainingError(f"{flag_of(key)}: the run was started with {before}, it cannot be resumed with {value}")
    return asked


def brief(value: object) -> str:
    """Shows a value that may be as large as a file."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
