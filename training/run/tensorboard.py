"""Figures and pictures of a run for TensorBoard, written as it goes, through tensorboardX."""

from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from tensorboardX import SummaryWriter

from training.card.grids import grids
from training.data import Dataset
from training.step.epoch import Epoch
from training.step.state import State
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

TENSORBOARD_DIRECTORY = "tensorboard"
ROWS = 64  # in a picture


class TensorBoard:
    """Writes events; a resumed run goes on in a file of its own, whose epochs take the place of the older ones.

    Args:
        directory: the run's.
        dataset: the run's data; images are shown.
        epoch: epochs that the run has done already.
        picture_epochs: number of epochs between pictures; the last epoch has pictures too.
        seed: of the latents that are decoded as samples.
    """

    def __init__(self, directory: Path, dataset: Dataset, epoch: int, *, picture_epochs: int, seed: int) -> None:
        self._dataset, self._picture_epochs, self._seed = dataset, picture_epochs, seed
        self._writer = SummaryWriter(str(directory / TENSORBOARD_DIRECTORY), purge_step=epoch + 1)

    def show(self, figures: Epoch, state: State, *, is_last: bool) -> None:
        """Writes an epoch's figures, and at a checkpoint the pictures that the average of the weights gives.

        Args:
            figures: of the epoch.
            state: at its end.
            is_last: whether the run is over, also where it ends early.
        """
        for name, value in figures.by_name().items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, figures.epoch)
        is_due = figures.epoch % self._picture_epochs == 0
        if (is_due or is_last) and self._dataset.spec.kind == "image":
            self._show_pictures(figures.epoch, state)

    def _show_pictures(self, epoch: int, state: State) -> None:
        held_out = self._dataset.validation if len(self._dataset.validation) else self._dataset.test
        rows, device = held_out[:ROWS], state.generator.device
        with torch.inference_mode():
            latent = state.average.encoder(rows.to(device)).mean
            drawn = standard_normals(Purpose.PRIOR, [RowRange(self._seed, 0, ROWS)], latent.shape[1])
            expectation = state.average.decoder(latent).expectation.cpu().numpy()
            samples = state.average.decoder(torch.from_numpy(drawn).to(device)).expectation.cpu().numpy()
        pictures = grids(rows.numpy(), expectation, samples, self._dataset.spec)
        for name, pixels in pictures._asdict().items():
            self._writer.add_image(name, pixels, epoch, dataformats="HWC")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()
