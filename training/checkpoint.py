"""Checkpoints: all that a run needs to go on, bit for bit, in one safetensors file that is replaced in one step."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from training.config import Config
from training.data import Dataset
from training.loop import State, build, start
from training.networks.pair import Networks
from vae.errors import TrainingError
from vae.files import write_whole

CHECKPOINT_FILE = "checkpoint.safetensors"
FORMAT = "vaeserve-checkpoint-3"


class _Header(BaseModel):
    """What the file holds beside the tensors, as JSON."""

    config: Config
    data_sha256: str
    epoch: int
    kl_weight: float
    rollbacks: int
    sha256: str = ""
    """Of all the file holds but this."""


class Checkpoint(NamedTuple):
    """A state between two epochs, detached from the one that goes on changing."""

    config: Config
    data_sha256: str
    epoch: int
    """Epochs done."""
    kl_weight: float
    """As in `State`."""
    rollbacks: int
    """As in `State`."""
    tensors: dict[str, Tensor]
    """By name: `networks.*`, `average.*`, `optimizer.<parameter>.*`, `generator`."""


def take(config: Config, dataset: Dataset, state: State) -> Checkpoint:
    """Returns a copy of the state."""
    tensors = {"generator": state.generator.get_state()}
    for name, value in state.networks.state_dict().items():
        tensors[f"networks.{name}"] = value
    for name, value in state.average.state_dict().items():
        tensors[f"average.{name}"] = value
    for name, parameter in state.networks.named_parameters():
        for key, value in state.optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = value
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return Checkpoint(config, dataset.sha256, state.epoch, state.kl_weight, state.rollbacks, copies)


def restore(checkpoint: Checkpoint, dataset: Dataset) -> State:
    """Returns the state that the checkpoint was taken of.

    Raises:
        TrainingError: it was trained on other data or on another kind of device, or its tensors are not those that its
            configuration asks for.
    """
    _refuse_other_data(checkpoint, dataset)
    state = start(checkpoint.config, dataset)
    device = state.generator.device.type
    if len(checkpoint.tensors.get("generator", ())) != len(state.generator.get_state()):
        raise TrainingError(f"the checkpoint was not taken on {device}, and its random numbers cannot go on there")
    _load(state.networks, checkpoint, "networks.")
    _load(state.average, checkpoint, "average.")
    for name, parameter in state.networks.named_parameters():
        if moments := _within(checkpoint.tensors, f"optimizer.{name}."):
            state.optimizer.state[parameter] = {key: _laid_out_as(parameter, value) for key, value in moments.items()}
    state.generator.set_state(checkpoint.tensors["generator"].clone())
    state.epoch, state.kl_weight, state.rollbacks = checkpoint.epoch, checkpoint.kl_weight, checkpoint.rollbacks
    return state


def average_of(checkpoint: Checkpoint, dataset: Dataset) -> Networks:
    """Returns the running average of the weights alone, on the CPU, wherever the run computed.

    Raises:
        TrainingError: as `restore` does, but for the device.
    """
    _refuse_other_data(checkpoint, dataset)
    networks = build(checkpoint.config, dataset).requires_grad_(False)
    _load(networks, checkpoint, "average.")
    return networks


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; until the last moment the file holds the one before.

    Raises:
        TrainingError: the disk refused it.
    """
    header = _Header(
        config=checkpoint.config,
        data_sha256=checkpoint.data_sha256,
        epoch=checkpoint.epoch,
        kl_weight=checkpoint.kl_weight,
        rollbacks=checkpoint.rollbacks,
    )
    header.sha256 = _digest(header, checkpoint.tensors)
    # One key only: safetensors writes several in random order, and equal states are to give equal files.
    content = safetensors.torch.save(checkpoint.tensors, {FORMAT: header.model_dump_json()})
    try:
        write_whole(path, content)
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be written: {exc.strerror}") from exc


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        TrainingError: there is none, it was altered or cut short, or another version wrote it.
    """
    if path.is_dir():
        raise TrainingError(f"{path}: is a directory, no checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror or 'no such file'}") from exc
    except SafetensorError as exc:
        raise TrainingError(f"{path}: is no whole checkpoint") from exc
    try:
        header = _Header.model_validate_json(metadata[FORMAT])
    except (KeyError, ValidationError) as exc:
        raise TrainingError(f"{path}: is no checkpoint that this version understands") from exc
    if header.sha256 != _digest(header, tensors):
        raise TrainingError(f"{path}: was altered: its checksum does not match")
    return Checkpoint(header.config, header.data_sha256, header.epoch, header.kl_weight, header.rollbacks, tensors)


def _refuse_other_data(checkpoint: Checkpoint, dataset: Dataset) -> None:
    if checkpoint.data_sha256 != dataset.sha256:
        raise TrainingError(f"the checkpoint was trained on other data than this {dataset.name}")


def _load(networks: Networks, checkpoint: Checkpoint, prefix: str) -> None:
    try:
        networks.load_state_dict(_within(checkpoint.tensors, prefix))
    except RuntimeError as exc:
        raise TrainingError("the checkpoint's tensors are not those of its configuration") from exc


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Returns a copy of an optimizer's value; moments lie in memory as their parameter does: fused steps assume it."""
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter).copy_(value)


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _digest(header: _Header, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.model_dump_json(exclude={"sha256"}).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
