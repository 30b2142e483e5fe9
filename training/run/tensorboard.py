"""Figures and pictures of a run for TensorBoard, written as it goes, through tensorboardX."""

from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from tensorboardX import SummaryWriter

from training.card.grids import grids
from training.data import Dataset
from training.settings.config import Config
from training.step.device import device_of
from training.step.loop import Epoch
from training.step.state import State
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

TENSORBOARD_DIRECTORY = "tensorboard"
ROWS = 64  # shown


class TensorBoard:
    """Writes events; a resumed run goes on in a file of its own, whose epochs take the place of the older ones.

    Args:
        directory: the run's.
        config: of the run.
        dataset: what is trained on; images are shown.
        epoch: epochs that the run has done already.
    """

    def __init__(self, directory: Path, config: Config, dataset: Dataset, epoch: int) -> None:
        self._config, self._dataset = config, dataset
        self._every = config.checkpoint_epochs
        self._writer = SummaryWriter(str(directory / TENSORBOARD_DIRECTORY), purge_step=epoch + 1)

    def show(self, figures: Epoch, state: State) -> None:
        """Writes an epoch's figures, and at a checkpoint pictures by the average of the weights."""
        for name, value in figures.by_name().items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, figures.epoch)
        is_due = figures.epoch % self._every == 0 or figures.epoch == self._config.epochs
        if is_due and self._dataset.spec.kind == "image":
            self._show_pictures(figures.epoch, state)

    def _show_pictures(self, epoch: int, state: State) -> None:
        held_out = self._dataset.validation if len(self._dataset.validation) else self._dataset.test
        rows, device = held_out[:ROWS], device_of(self._config.device)
        drawn = standard_normals(Purpose.PRIOR, [RowRange(self._config.seed, 0, ROWS)], self._config.latent_size)
        with torch.inference_mode():
            latent = state.average.encoder(rows.to(device)).mean
            expectation = state.average.decoder(latent).expectation.cpu().numpy()
            samples = state.average.decoder(torch.from_numpy(drawn).to(device)).expectation.cpu().numpy()
        shown = grids(rows.numpy(), expectation, samples, self._dataset.spec)
        for name, pixels in shown._asdict().items():
            self._writer.add_image(name, pixels, epoch, dataformats="HWC")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()
