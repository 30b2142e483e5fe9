"""`.npy`: one array a partition, [rows, ...], in the order of the rows.

A row that has an error is NaN, or 0 in whole numbers, so that a row's place is its address less the partition's first.
"""

from typing import BinaryIO

import numpy as np

from jobs.engine.answers import answer_columns
from jobs.settings import JobSettings, ModelFacts
from jobs.sinks.sink import AnsweredChunk
from jobs.sinks.tensors import as_stored
from vaeserve.package.row_spec import Array


class ArraySink:
    """Holds a partition's answers, and writes them at once.

    Args:
        file: open for writing.
        settings: the job's.
        model: the pair that answers.
    """

    def __init__(self, file: BinaryIO, settings: JobSettings, model: ModelFacts) -> None:
        self._file, self._settings = file, settings
        (self._name,) = answer_columns(settings, model)
        self._parts: list[Array] = []

    def add(self, answered: AnsweredChunk) -> None:
        """Takes the next rows."""
        values = answered.answers.columns[self._name]
        if errors := [*answered.answers.errors]:
            values = values.copy()
            values[errors] = np.nan if values.dtype.kind == "f" else 0
        self._parts.append(as_stored(values, self._settings))

    def finish(self) -> None:
        """Writes the file."""
        np.save(self._file, np.concatenate(self._parts), allow_pickle=False)
