"""Content: what a reader found, in its original order and not yet split."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.files import AnyArray
from vaeserve.package.data_spec import ArrayFit, DataSpec, ImageFit
from vaeserve.sources.pictures import colours

ClassLabels = npt.NDArray[np.int64]  # [rows]
ReportCount = Callable[[int, int], None]
"""Called with how many rows were read, and how many there are."""


class Content(NamedTuple):
    """All rows of a source."""

    title: str
    """What it is, in one line, or which file and which of its arrays."""
    spec: DataSpec
    family: str
    values: AnyArray  # [rows, *spec.shape]
    labels: ClassLabels | None = None
    validation_rows: int = 0
    """The source itself holds out its last rows: so many to validate on, and after them so many to test on."""
    test_rows: int = 0
    drawn_test_rows: int | None = None
    """How many to draw for the test where the source holds out none; None: a tenth."""
    skipped: tuple[str, ...] = ()
    """One line for each thing that was left out."""
    notes: tuple[str, ...] = ()
    """One line for each thing that whoever trains should know."""
    columns: tuple[str | int, ...] = ()
    """What to call each column of a table."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; none where they are numbers to begin with."""
    groups: ClassLabels | None = None
    """The number of each row's group; all rows of a group go into one part of a split."""


def images_spec(
    shape: tuple[int, ...],
    maximum: int = 255,
    image_fit: ImageFit | None = None,
    array_fit: ArrayFit | None = None,
) -> DataSpec:
    """Returns the description of uint8 images [height, width, channels], and of how files became such."""
    return DataSpec(
        kind="image",
        shape=shape,
        dtype="uint8",
        minimum=0,
        maximum=maximum,
        image_fit=image_fit,
        array_fit=array_fit,
    )


def table_spec(columns: tuple[str | int, ...], limit: float) -> DataSpec:
    """Returns the description of float32 tables whose values lie within [-limit, limit]."""
    names = tuple(name for name in columns if isinstance(name, str))
    return DataSpec(
        kind="table",
        shape=(len(columns),),
        dtype="float32",
        minimum=-limit,
        maximum=limit,
        columns=names if len(names) == len(columns) else (),
    )


def describe_rows(rows: int, spec: DataSpec) -> str:
    """Returns "1000 images of 32 x 32 pixels in colour", or "1831 rows of 21 numbers"."""
    if spec.kind == "table":
        return f"{rows} rows of {spec.value_count} numbers"
    height, width, channels = spec.shape
    return f"{rows} images of {width} x {height} pixels in {colours(channels)}"
