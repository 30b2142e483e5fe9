"""Fitted rows: what the model takes of some rows, and what is wrong with each of the others."""

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.row_spec import Array, RowSpec


def fit_rows(rows: AnyArray, spec: RowSpec) -> tuple[Array, dict[int, str]]:
    """Returns rows as the model takes them, blank where there is an error; and the errors, by row.

    Args:
        rows: [rows, *spec.shape], numbers of any type.
        spec: the model's rows. What its `fit` refuses is an error.
    """
    fitted, errors = spec.blank(len(rows)), dict[int, str]()
    waiting = [slice(0, len(rows))]
    while waiting:
        part = waiting.pop()
        try:
            fitted[part] = spec.fit(rows[part], "row")
        except InvalidInput as exc:
            if part.stop - part.start == 1:
                errors[part.start] = exc.description.replace(" in row 0", "", 1)
            else:
                middle = (part.start + part.stop) // 2
                waiting += [slice(middle, part.stop), slice(part.start, middle)]
    return fitted, dict(sorted(errors.items()))


def check_array(shape: tuple[int, ...], dtype: np.dtype[np.generic], name: str, spec: RowSpec) -> None:
    """Makes sure that an array holds rows as the model takes them, before any of it is read.

    Grey images may lack the axis of channels.

    Raises:
        InvalidInput: named by `name`; its rows have another shape, or are not numbers.
    """
    if dtype.kind not in "biuf":
        raise InvalidInput(name, f"holds {dtype}, must hold numbers")
    if not shape or not (shape[1:] == spec.axes or is_grey(shape, spec) or spec.size_of(shape[1:]) is not None):
        spec.fit(np.broadcast_to(np.zeros((), np.uint8), shape), name)  # raises, and says which shape it must be


def is_grey(shape: tuple[int, ...], spec: RowSpec) -> bool:
    """Whether an array is of images without an axis of channels, where the model takes such with one."""
    return len(spec.axes) == 3 and spec.axes[2] == 1 and shape[1:] == spec.axes[:2]
