"""From settings to a `Config`: reads a file, lays it and the flags over a preset, and refuses errors in one line."""

import tomllib
from collections.abc import Collection, Iterable, Mapping
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
# Data may move, because its checksum shows that it is the same. A version affects the package alone.
CHANGEABLE = frozenset({"dataset", "data_dir", "version"})
LENGTH = frozenset({"epochs", "steps"})  # a run can be given more of them when it is resumed
_LENGTHS = {"missing": "has too few values", "too_short": "has too few values", "too_long": "has too many values"}


def read_settings_file(path: Path) -> dict[str, object]:
    """Returns the keys and values of a TOML file, unchecked.

    Raises:
        TrainingError: the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise TrainingError(f"{path}: is nested too deeply") from exc
    except ValueError as exc:  # not TOML, not UTF-8, or a number with more digits than Python reads
        raise TrainingError(f"{path}: is not valid TOML: {exc}") from exc


def preset_names() -> tuple[str, ...]:
    """Returns the names of the presets."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def preset_for(dataset: str) -> str:
    """Returns the name of the data's default preset; looks into a file of arrays.

    Raises:
        TrainingError: there is no such data.
    """
    match kind_of(dataset):
        case "digits" | "mnist" as name:
            return name
        case "pictures":
            return "images"
        case "columns":
            return "table"
        case "arrays":
            from vaeserve.sources.arrays import holds_images

            return "images" if holds_images(Path(dataset)) else "table"


def complete(overrides: dict[str, object], preset: str | None) -> dict[str, object]:
    """Returns the settings of a run: the preset's, overridden by those that define its model, then by the user's.

    Args:
        overrides: settings by name, from a file and flags.
        preset: its name; None: the data's default.

    Raises:
        TrainingError: a setting contradicts the model, or there is no such data.
    """
    base = read_settings_file(PRESETS / f"{preset or preset_for(str(overrides.get('dataset', 'digits')))}.toml")
    model = overrides.get("model", base.get("model", "vae"))
    fixed = MODELS[model].fixed if isinstance(model, str) and model in MODELS else {}
    for key, value in fixed.items():
        if overrides.get(key, value) != value:
            if value is False:
                raise TrainingError(f"{flag_of(key)}: cannot be used with the model {model}")
            raise TrainingError(f"{flag_of(key)}: the model {model} is defined with {value}, not {overrides[key]}")
    if overrides.keys() >= LENGTH:
        raise TrainingError("--steps: takes the place of --epochs: give one of them")
    if overrides.keys() & LENGTH:
        base = {key: value for key, value in base.items() if key not in LENGTH}
    return {**base, **fixed, **overrides}


def parse_config(settings: dict[str, object], source: str = "") -> Config:
    """Returns the configuration with these settings, and defaults for the rest.

    Args:
        settings: values by field name.
        source: the file that they are from; empty: an error names their flags.

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


def problem_of(exc: ValidationError, settings: Mapping[str, object], keys: Iterable[str], hint: str) -> tuple[str, str]:
    """Returns the key that is wrong (empty: the settings as a whole), and the problem in one line.

    Args:
        exc: the error of validation.
        settings: values by key.
        keys: every valid key.
        hint: advice for a key that resembles none of them.
    """
    where, message, kind, value = first_problem(exc)
    key = where.partition(".")[0]
    if kind == "extra_forbidden":
        near = get_close_matches(where, keys, n=1)
        return where, f"no such key; {f'did you mean {near[0]}?' if near else hint}"
    if kind == "missing" and key not in settings:
        return where, "is missing"
    if kind in _LENGTHS:
        return where, f"{_LENGTHS[kind]}: {brief(settings[key])}"
    if not where:
        return where, message
    return where, f"{message[0].lower()}{message[1:]}, not {brief(value)}"


def refuse_unused(config: Config, keys: Iterable[str]) -> None:
    """Makes sure that every setting of a file or a flag has an effect.

    Args:
        config: the run's.
        keys: names of the settings that a file or a flag sets, not those of presets and defaults.

    Raises:
        TrainingError: one has none; the message names its flag, and the models or networks that use it.
    """
    for key, reason in config.unused(keys).items():
        raise TrainingError(f"{flag_of(key)}: {reason}")


def refuse_changes(saved: Config, overrides: dict[str, object], changeable: Collection[str] = CHANGEABLE) -> Config:
    """Returns the settings of a resumed run: those that it was started with, except where they may change.

    Args:
        saved: the settings that it was started with.
        overrides: settings by name, from a file and flags.
        changeable: names of settings that may change.

    Raises:
        TrainingError: a value differs; the message names its flag or key.
    """
    resumed = parse_config({**saved.model_dump(), **overrides})
    for key, value in resumed:
        before = getattr(saved, key)
        if value != before and key not in changeable:
            raise TrainingError(f"{flag_of(key)}: the run was started with {before}, it cannot be resumed with {value}")
    return resumed


def brief(value: object) -> str:
    """Returns a value as a short text; the value may be as large as a file."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
