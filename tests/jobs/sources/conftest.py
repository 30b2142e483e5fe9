"""Specs of small models, pictures, and what a source reads when all of it is planned as one span a file."""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from jobs.rows import Chunk, RowSource, Span
from jobs.sources.opening import open_source
from vaeserve.package.data_spec import DataSpec, ImageFit
from vaeserve.package.row_spec import RowSpec

IMAGES = DataSpec(
    kind="image",
    shape=(4, 4, 1),
    dtype="uint8",
    minimum=0,
    maximum=255,
    image_fit=ImageFit(fit="stretch", channels=1),
)
TABLE = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-100, maximum=100)
NAMED = TABLE.model_copy(update={"columns": ("age", "weight")})


class Everything(NamedTuple):
    """All rows of a source."""

    rows: npt.NDArray[np.number]
    errors: dict[int, str]
    sources: list[str]
    source_rows: list[int]
    chunks: list[Chunk]
    spans: list[Span]


def spans_of(source: RowSource) -> list[Span]:
    return [Span(file.name, file.sha256, 0, file.rows, file.stamp) for file in source.files()]


def read(source: RowSource, spans: Sequence[Span], chunk_rows: int) -> Everything:
    chunks = list(source.read(spans, chunk_rows))
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    errors, sources, numbers, first = dict[int, str](), list[str](), list[int](), 0
    for chunk in chunks:
        assert len(chunk.sources) == len(chunk.source_rows) == len(chunk)
        errors |= {first + row: error for row, error in chunk.errors.items()}
        sources += chunk.sources
        numbers += chunk.source_rows.tolist()
        first += len(chunk)
    return Everything(np.concatenate([chunk.rows for chunk in chunks]), errors, sources, numbers, chunks, list(spans))


ReadAll = Callable[..., Everything]


@pytest.fixture
def read_all() -> ReadAll:
    """Reads a source in chunks of 1, 7 and more rows than there are; all must say the same."""

    def read_one(
        address: object, spec: RowSpec, columns: tuple[str, ...] = (), keep: tuple[str, ...] = ()
    ) -> Everything:
        addresses = [str(one) for one in address] if isinstance(address, list) else [str(address)]
        planned = open_source(addresses, spec, columns, keep)
        spans = spans_of(planned)
        planned.close()
        worker = open_source(addresses, spec, planned.columns, keep)
        whole = read(worker, spans, 100_000)
        for chunk_rows in (1, 7):
            parts = read(worker, spans, chunk_rows)
            np.testing.assert_array_equal(parts.rows, whole.rows)
            assert parts[1:4] == whole[1:4]
        worker.close()
        assert whole.rows.dtype == spec.dtype
        return whole

    return read_one


def png(shade: int, size: tuple[int, int] = (4, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, shade).save(file, "PNG")
    return file.getvalue()
