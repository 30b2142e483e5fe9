"""Safetensors shards, as trainers of latent models read them. Rows that have an error are left out.

Keys: `latents` [rows, *latent shape] (and `log_variance`), or `codes`, or `data`; `latents_flip`, of mirror images;
`row`, int64 [rows]: the address of each; `labels`, int64 [rows]: the class of each, of pictures that lie in folders.

Of pictures that had many sizes also `original_size`, `crop_top_left` and `target_size`, int64 [rows, 2]; and the
metadata has the name of each picture's file.
"""

import json
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from jobs.engine.answers import FLIP, LATENT, OUTPUT, blank_columns, rows_of, written_columns
from jobs.settings import JobSettings, ModelFacts
from jobs.sinks.layout import ROW, metadata
from jobs.sinks.sink import AnsweredChunk
from jobs.sinks.tensor_file import write_tensors
from vaeserve.package.row_spec import Array

LABELS = "labels"
NAMES = "vaeserve.names"
"""In the metadata: the file that each picture comes from, as a list in JSON."""

_BEYOND = "the model's answer is beyond the range of float16"
_KEYS = {LATENT: "latents", OUTPUT: "data"}


def key_of(name: str) -> str:
    """Returns what an answer is called in these files, where that is not its own name."""
    plain = name.removesuffix(FLIP)
    return _KEYS.get(plain, plain) + name[len(plain) :]


class TensorSink:
    """Holds a partition's answers, and writes them at once.

    Args:
        file: open for writing.
        settings: the job's.
        model: the pair that answers.
        classes: of the pictures; empty: there are none.
    """

    def __init__(self, file: BinaryIO, settings: JobSettings, model: ModelFacts, classes: tuple[str, ...] = ()) -> None:
        self._file, self._settings, self._model, self._classes = file, settings, model, classes
        self._columns = written_columns(settings, model)
        names = (*self._columns, ROW, *(LABELS,) * bool(classes))
        self._parts: dict[str, list[Array]] = {name: [] for name in names}
        self._names: list[str] | None = None
        """Files of pictures that were cropped; None: none was."""

    def add(self, answered: AnsweredChunk) -> None:
        """Takes the next rows."""
        rows = np.arange(answered.first_row, answered.first_row + rows_of(answered.answers))
        good = np.ones(len(rows), np.bool_)
        good[[*answered.answers.errors]] = False
        columns = {**answered.answers.columns, ROW: rows}
        if answered.labels is not None:
            columns[LABELS] = answered.labels
        if answered.chunk is not None and answered.chunk.crops:
            columns |= answered.chunk.crops
            self._names = self._names or []
            self._names += [name for name, is_good in zip(answered.chunk.sources, good, strict=True) if is_good]
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values if good.all() else values[good])

    def finish(self) -> None:
        """Writes the file."""
        blank = blank_columns(self._columns, 0)
        tensors = {
            key_of(name): as_stored(np.concatenate([blank.get(name, parts[0][:0]), *parts]), self._settings)
            for name, parts in self._parts.items()
        }
        about = metadata(self._settings, self._model, self._classes)
        if self._names is not None:
            about[NAMES] = json.dumps(self._names, ensure_ascii=False, separators=(",", ":"))
        write_tensors(self._file, tensors, about)


def beyond_type(columns: Mapping[str, Array], settings: JobSettings) -> dict[int, str]:
    """Returns what is wrong with rows whose answers a job's tensors cannot hold, by row."""
    if settings.dtype != "float16":
        return {}
    wide = [values.reshape(len(values), -1) for values in columns.values() if values.dtype == np.float32]
    largest = np.max([np.abs(values).max(1, initial=0) for values in wide], axis=0) if wide else np.zeros(0)
    return dict.fromkeys(np.flatnonzero(largest > np.finfo(np.float16).max).tolist(), _BEYOND)


def as_stored(values: Array, settings: JobSettings) -> Array:
    """Returns numbers in the type that a job's tensors have."""
    return np.ascontiguousarray(values.astype(settings.dtype) if values.dtype == np.float32 else values)
