"""Parquet: one line a row. A row that has an error is there too, with its reason and without answers."""

from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from jobs.engine.answers import OUTPUT, Answers, rows_of, written_columns
from jobs.settings import JobSettings, ModelFacts
from jobs.sinks.layout import ERROR, ROW, SOURCE, SOURCE_ROW, metadata, table_columns
from jobs.sinks.sink import AnsweredChunk
from vaeserve.package.row_spec import Array

Missing = npt.NDArray[np.bool_]
"""Whether a row has no answer: [rows]."""

_COMPRESSION = "zstd"


class ParquetSink:
    """Writes a row group for each chunk.

    Args:
        file: open for writing.
        settings: the job's.
        model: the pair that answers.
    """

    def __init__(self, file: BinaryIO, settings: JobSettings, model: ModelFacts) -> None:
        self._file, self._settings, self._model = file, settings, model
        self._writer: pa.parquet.ParquetWriter | None = None

    def add(self, answered: AnsweredChunk) -> None:
        """Takes the next rows."""
        table = pa.table(self._columns(answered)).replace_schema_metadata(metadata(self._settings, self._model))
        if self._writer is None:
            texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
            self._writer = pa.parquet.ParquetWriter(
                self._file, table.schema, compression=_COMPRESSION, use_dictionary=texts
            )
        self._writer.write_table(table, row_group_size=table.num_rows)

    def finish(self) -> None:
        """Writes the footer."""
        if self._writer is not None:
            self._writer.close()

    def _columns(self, answered: AnsweredChunk) -> dict[str, Any]:
        answers, chunk = answered.answers, answered.chunk
        rows = rows_of(answers)
        missing = np.zeros(rows, np.bool_)
        missing[[*answers.errors]] = True
        columns: dict[str, Any] = {ROW: np.arange(answered.first_row, answered.first_row + rows)}
        if chunk is not None:
            columns |= {SOURCE: pa.array(chunk.sources, pa.string()), SOURCE_ROW: chunk.source_rows, **chunk.columns}
            columns |= {name: _arrow(values, missing, is_fixed=False) for name, values in chunk.crops.items()}
        columns |= self._answers(answers, missing)
        reasons = [answers.errors.get(row) for row in range(rows)] if answers.errors else None
        columns[ERROR] = pa.nulls(rows, pa.string()) if reasons is None else pa.array(reasons, pa.string())
        return columns

    def _answers(self, answers: Answers, missing: Missing) -> dict[str, pa.Array]:
        columns = {name: answers.columns[name] for name in written_columns(self._settings, self._model)}
        if OUTPUT in columns and (names := table_columns(self._model)):
            values = columns.pop(OUTPUT)
            columns |= {name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(names)}
        is_fixed = self._settings.lists == "fixed"
        return {name: _arrow(values, missing, is_fixed=is_fixed) for name, values in columns.items()}


def _arrow(values: Array, missing: Missing, *, is_fixed: bool) -> pa.Array:
    """Returns answers as Arrow holds them: numbers, or lists of numbers; null where a row has none."""
    if values.ndim == 1:
        return pa.array(values, mask=missing if missing.any() else None)
    size = int(np.prod(values.shape[1:]))
    flat = pa.array(values.reshape(-1))
    mask = pa.array(missing) if missing.any() else None
    if is_fixed:
        return pa.FixedSizeListArray.from_arrays(flat, size, mask=mask)
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int64) * size)
    if size * len(values) < 2**31:
        return pa.ListArray.from_arrays(offsets.cast(pa.int32()), flat, mask=mask)
    return pa.LargeListArray.from_arrays(offsets, flat, mask=mask)
