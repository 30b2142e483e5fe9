"""Checkpoints: all that a run needs to continue bit for bit, in one safetensors file that is replaced atomically."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from training.data import Dataset
from training.models.kind import Kind
from training.networks.pair import Networks
from training.settings.config import Config
from training.step.guard import ROLLBACKS
from training.step.length import Continuation, is_over
from training.step.state import Best, State, build, start
from vaeserve.errors import TrainingError
from vaeserve.files import write_whole

CHECKPOINT_FILE = "checkpoint.safetensors"
FORMAT = "vaeserve-checkpoint-4"
AVERAGE, BEST = "average.", "best."
OTHER_TENSORS = "the checkpoint's tensors are not those of its configuration"


class Checkpoint(BaseModel):
    """A copy of a state between two epochs, which further training does not change."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    config: Config
    data_name: str
    """As in `Dataset` when the run began, because a package keeps its name when a file is moved."""
    data_sha256: str
    epoch: Annotated[int, Field(ge=0)]
    """Epochs done."""
    kl_weight: float
    """As in `State`."""
    rollbacks: Annotated[int, Field(ge=0, le=ROLLBACKS)]
    """As in `State`."""
    best_epoch: Annotated[int, Field(ge=0)] | None = None
    """The best epoch by validation, 0 if the first weights were better than any; None if none was validated."""
    best_validation_nats: float | None = None
    """Its loss on validation rows."""
    continuations: tuple[Continuation, ...] = ()
    """As in `State`."""
    tensors: Annotated[dict[str, Tensor], Field(exclude=True)] = {}
    """By name: `networks.*`, `average.*`, `best.*`, `optimizer.<parameter>.*`, `generator`.

    The rest is JSON in the file.
    """

    @property
    def name(self) -> str:
        """Name of the run's package."""
        return self.config.name or self.data_name

    @property
    def exported_best(self) -> int | None:
        """The best epoch, if it holds that epoch's average, which is then exported; None: the last epoch's is."""
        return self.best_epoch if any(name.startswith(BEST) for name in self.tensors) else None

    def is_over(self, rows: int) -> bool:
        """Whether the run is done, which has so many training rows."""
        return is_over(self.config, rows, self.epoch, self.best_epoch, self.continuations)


def take(config: Config, dataset: Dataset, state: State) -> Checkpoint:
    """Returns a copy of the state."""
    tensors = {"generator": state.generator.get_state()}
    for name, value in state.networks.state_dict().items():
        tensors[f"networks.{name}"] = value
    for name, value in state.average.state_dict().items():
        tensors[f"{AVERAGE}{name}"] = value
    for name, (parameter, moments) in state.moments().items():
        for key, value in moments[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = value
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    best = state.best
    if best is not None:  # its tensors never change
        copies |= {f"{BEST}{name}": value for name, value in best.weights.items()}
    return Checkpoint(
        config=config,
        data_name=dataset.name,
        data_sha256=dataset.sha256,
        epoch=state.epoch,
        kl_weight=state.kl_weight,
        rollbacks=state.rollbacks,
        best_epoch=None if best is None else best.epoch,
        best_validation_nats=None if best is None else best.validation_nats,
        continuations=state.continuations,
        tensors=copies,
    )


def restore(checkpoint: Checkpoint, dataset: Dataset) -> State:
    """Returns the state that the checkpoint is a copy of.

    Raises:
        TrainingError: it was trained on other data or on another kind of device, or its tensors are not those of its
            configuration.
    """
    refuse_other_data(checkpoint, dataset)
    state = start(checkpoint.config, dataset)
    set_back(state, checkpoint)
    return state


def set_back(state: State, checkpoint: Checkpoint) -> None:
    """Makes a state that was built by the checkpoint's configuration the one that the checkpoint is a copy of.

    Weights and random numbers are set where they are, so this takes no second copy of them.

    Raises:
        TrainingError: as `restore` does.
    """
    device, drawn = state.generator.device.type, checkpoint.tensors.get("generator")
    if drawn is None or _form(drawn) != _form(state.generator.get_state()):
        raise TrainingError(f"the checkpoint was not taken on {device}, and its random numbers cannot go on there")
    _load(state.networks, checkpoint, "networks.")
    _load(state.average, checkpoint, AVERAGE)
    for name, (parameter, moments) in state.moments().items():
        moments.pop(parameter, None)
        if saved := _within(checkpoint.tensors, f"optimizer.{name}."):
            moments[parameter] = _moments_of(parameter, saved)
    try:
        state.generator.set_state(drawn.clone())
    except RuntimeError as exc:
        raise TrainingError(OTHER_TENSORS) from exc
    state.epoch, state.kl_weight, state.rollbacks = checkpoint.epoch, checkpoint.kl_weight, checkpoint.rollbacks
    state.best, state.continuations = _best_of(checkpoint), checkpoint.continuations


def average_of(kind: Kind, checkpoint: Checkpoint, dataset: Dataset) -> Networks:
    """Returns the running average of the weights alone, on the CPU, wherever the run computed: that of the best epoch.

    It is that of the last epoch if the run did not keep the best.

    Raises:
        TrainingError: as `restore` does, but for the device.
    """
    refuse_other_data(checkpoint, dataset)
    networks = build(kind, checkpoint.config, dataset).requires_grad_(False)
    _load(networks, checkpoint, AVERAGE if checkpoint.exported_best is None else BEST)
    return networks


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint atomically: until it is whole, the file holds the previous one.

    Raises:
        TrainingError: the file cannot be written.
    """
    text = checkpoint.model_dump_json()
    # One key only: safetensors writes several in random order, and equal states are to give equal files.
    content = safetensors.torch.save(checkpoint.tensors, {FORMAT: f"{_digest(text, checkpoint.tensors)} {text}"})
    try:
        write_whole(path, content)
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be written: {exc.strerror}") from exc


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        TrainingError: the file is missing, altered or cut short, or another version wrote it.
    """
    if path.is_dir():
        raise TrainingError(f"{path}: is a directory, not a checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a dictionary)
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror or 'no such file'}") from exc
    except SafetensorError as exc:
        raise TrainingError(f"{path}: is not a whole checkpoint") from exc
    sha256, _, text = metadata.get(FORMAT, "").partition(" ")
    if text and sha256 != _digest(text, tensors):
        raise TrainingError(f"{path}: was altered: its checksum does not match")
    try:
        return Checkpoint.model_validate_json(text).model_copy(update={"tensors": tensors})
    except ValidationError as exc:
        raise TrainingError(f"{path}: is not a checkpoint that this version understands") from exc


def refuse_other_data(checkpoint: Checkpoint, dataset: Dataset) -> None:
    """Raises TrainingError if a checkpoint was trained on other data, or on another split of it."""
    if checkpoint.data_sha256 != dataset.sha256:
        raise TrainingError(f"the checkpoint was trained on other data than this {dataset.name}, or on another split")


def _best_of(checkpoint: Checkpoint) -> Best | None:
    if checkpoint.best_epoch is None or checkpoint.best_validation_nats is None:
        return None
    return Best(checkpoint.best_epoch, checkpoint.best_validation_nats, _within(checkpoint.tensors, BEST))


def _load(networks: Networks, checkpoint: Checkpoint, prefix: str) -> None:
    try:
        networks.load_state_dict(_within(checkpoint.tensors, prefix))
    except RuntimeError as exc:
        raise TrainingError(OTHER_TENSORS) from exc


def _moments_of(parameter: Tensor, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a copy of the moments that the optimizer keeps of a parameter, laid out in memory as the parameter is.

    They are checked here, because fused steps check nothing and would write out of bounds.

    Raises:
        TrainingError: they are not of the parameter's shape and type.
    """
    wanted = {"step": _form(torch.tensor(0.0)), "exp_avg": _form(parameter), "exp_avg_sq": _form(parameter)}
    if {key: _form(value) for key, value in saved.items()} != wanted:
        raise TrainingError(OTHER_TENSORS)
    step = saved["step"].to(parameter.device, copy=True)
    return {"step": step, **{key: torch.empty_like(parameter).copy_(saved[key]) for key in ("exp_avg", "exp_avg_sq")}}


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of all that a file holds: its text as written, and its tensors."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # NumPy knows no bfloat16
    return digest.hexdigest()
