"""The doorway to diffusers: a folder -> a module with its weights, or a refusal. Nothing is downloaded or unpickled."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from training.imports.families import FAMILIES, Autoencoder, Config
from vaeserve.errors import TrainingError
from vaeserve.package.bounded import read_regular
from vaeserve.printable import printable

CONFIG_FILE = "config.json"
_INDEX_FILE = "model_index.json"
_CONFIG_BYTES = 2**20
_WEIGHTS = "diffusion_pytorch_model"
_SUFFIX = ".safetensors"
_WORDS = 160  # characters of a reason that diffusers gives


class Loaded(NamedTuple):
    """An autoencoder of diffusers, in float32 and for evaluation."""

    module: Autoencoder
    class_name: str
    config: Config
    """With the defaults of the class."""
    own: Config
    """What config.json itself says."""


def find_folder(folder: Path) -> Path:
    """Returns the folder of an autoencoder: this one, or `vae/` in the folder of a pipeline.

    A pipeline has a model_index.json, and perhaps a config.json that is about something else.

    Raises:
        TrainingError: neither has a config.json.
    """
    below = folder / "vae"
    for place in (below, folder) if (folder / _INDEX_FILE).is_file() else (folder, below):
        if (place / CONFIG_FILE).is_file():
            return place
    if not folder.is_dir():
        raise TrainingError(f"{printable(folder)}: is not a folder; nothing is downloaded")
    raise TrainingError(f"{printable(folder)}: holds no {CONFIG_FILE}, and there is none in vae/ below it")


def read_config(folder: Path) -> dict[str, Any]:
    """Returns what a folder's config.json says.

    Raises:
        TrainingError: it cannot be read, or is not a JSON object.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(read_regular(path, _CONFIG_BYTES))
    except OSError as exc:
        raise TrainingError(f"{printable(path)}: cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise TrainingError(f"{printable(path)}: is not JSON: {exc}") from exc
    if not isinstance(config, dict):
        raise TrainingError(f"{printable(path)}: is not a JSON object")
    return config


def load(folder: Path) -> Loaded:
    """Returns the autoencoder that lies in a folder.

    Raises:
        TrainingError: it is of a class that is not known, or its weights are missing, damaged or of another network.
    """
    own = read_config(folder)
    class_name = own.get("_class_name")
    if not isinstance(class_name, str) or class_name not in FAMILIES:
        what = f"is of class {printable(str(class_name))}" if class_name else "names no _class_name"
        raise TrainingError(f"{printable(folder / CONFIG_FILE)}: {what}; known are {', '.join(FAMILIES)}")
    variant = _variant(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when diffusers is imported
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    try:
        module, loading = getattr(diffusers, class_name).from_pretrained(
            str(folder),
            variant=variant,
            local_files_only=True,
            use_safetensors=True,
            torch_dtype=torch.float32,
            low_cpu_mem_usage=False,
            output_loading_info=True,
        )
    except Exception as exc:  # whatever a configuration that fits no network leads to
        reason = " ".join(str(exc).split()) or type(exc).__name__
        raise TrainingError(f"{printable(folder)}: diffusers cannot load it: {printable(reason)[:_WORDS]}") from exc
    if missing := loading["missing_keys"]:  # tensors of other shapes are refused by diffusers itself
        raise TrainingError(
            f"{printable(folder)}: the weights lack {len(missing)} tensors of the network, first "
            f"{printable(str(missing[0]))}"
        )
    return Loaded(module.eval().requires_grad_(requires_grad=False), class_name, module.config, own)


def _variant(folder: Path) -> str | None:
    """Returns which variant of the weights is there; None: the plain one. Raises TrainingError."""
    plain = sorted(folder.glob(f"{_WEIGHTS}*{_SUFFIX}"))
    if not plain:
        pickled = any(folder.glob(f"{_WEIGHTS}*.bin"))
        why = "those in .bin files are pickles, which may run code: save them again as safetensors" if pickled else ""
        raise TrainingError(f"{printable(folder)}: holds no {_WEIGHTS}{_SUFFIX}" + (f"; {why}" if why else ""))
    for path in plain:
        _check_weights(path)
    parts = plain[0].name.removeprefix(_WEIGHTS).removesuffix(_SUFFIX).split("-00001-of-")[0]
    exists = (folder / f"{_WEIGHTS}{_SUFFIX}").exists() or (folder / f"{_WEIGHTS}{_SUFFIX}.index.json").exists()
    return None if exists else parts.removeprefix(".") or None


def _check_weights(path: Path) -> None:
    try:
        with safe_open(path, "pt"):
            pass
    except (SafetensorError, OSError) as exc:
        raise TrainingError(f"{printable(path)}: is damaged or was cut short: {exc}") from exc
