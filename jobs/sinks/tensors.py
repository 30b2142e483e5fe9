"""Safetensors shards, as trainers of latent models read them. Rows that have an error are left out.

Keys: `latents` [rows, *latent shape] (and `log_variance`), or `data`; `row`, int64 [rows]: the address of each.
"""

from typing import BinaryIO

import numpy as np
import safetensors.numpy

from jobs.engine.answers import LATENT, OUTPUT, answer_columns, blank_columns, rows_of
from jobs.settings import JobSettings, ModelFacts
from jobs.sinks.layout import ROW, metadata
from jobs.sinks.sink import AnsweredChunk
from vaeserve.package.row_spec import Array

KEYS = {LATENT: "latents", OUTPUT: "data"}
"""What answers are called in these files, where that is not their own name."""


class TensorSink:
    """Holds a partition's answers, and writes them at once.

    Args:
        file: open for writing.
        settings: the job's.
        model: the pair that answers.
    """

    def __init__(self, file: BinaryIO, settings: JobSettings, model: ModelFacts) -> None:
        self._file, self._settings, self._model = file, settings, model
        self._parts: dict[str, list[Array]] = {name: [] for name in (*answer_columns(settings, model), ROW)}

    def add(self, answered: AnsweredChunk) -> None:
        """Takes the next rows."""
        rows = np.arange(answered.first_row, answered.first_row + rows_of(answered.answers))
        good = np.ones(len(rows), np.bool_)
        good[[*answered.answers.errors]] = False
        for name, values in {**answered.answers.columns, ROW: rows}.items():
            self._parts[name].append(values if good.all() else values[good])

    def finish(self) -> None:
        """Writes the file."""
        blank = blank_columns(self._settings, self._model, 0)
        tensors = {
            KEYS.get(name, name): as_stored(np.concatenate([blank.get(name, parts[0][:0]), *parts]), self._settings)
            for name, parts in self._parts.items()
        }
        self._file.write(safetensors.numpy.save(tensors, metadata(self._settings, self._model)))


def as_stored(values: Array, settings: JobSettings) -> Array:
    """Returns numbers in the type that a job's tensors have; a row of its own memory, never a view of a batch."""
    return np.ascontiguousarray(values.astype(settings.dtype) if values.dtype == np.float32 else values)
