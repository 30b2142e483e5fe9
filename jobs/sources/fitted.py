"""Fitted rows: what the model takes of some rows, and what is wrong with each of the others."""

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array, RowSpec
from vaeserve.sources.array_fit import fit_array


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
            fitted[part] = spec.fit(_as_trained(rows[part], spec), "row")
        except InvalidInput as exc:
            if part.stop - part.start == 1:
                errors[part.start] = exc.description.replace(" in row 0", "", 1)
            else:
                middle = (part.start + part.stop) // 2
                waiting += [slice(middle, part.stop), slice(part.start, middle)]
    return fitted, dict(sorted(errors.items()))


def check_array(shape: tuple[int, ...], dtype: np.dtype[np.generic], name: str, spec: RowSpec) -> None:
    """Makes sure that an array holds rows as the model takes them, before any of it is read.

    Grey images may lack the axis of channels, which may come first where it did in training.

    Raises:
        InvalidInput: named by `name`; its rows have another shape, or are not numbers.
    """
    if dtype.kind not in "biuf":
        raise InvalidInput(name, f"holds {dtype}, must hold numbers")
    is_moved = is_grey(shape, spec) or is_channels_first(shape, spec)
    if not shape or not (shape[1:] == spec.axes or is_moved or spec.size_of(shape[1:]) is not None):
        spec.fit(np.broadcast_to(np.zeros((), np.uint8), shape), name)  # raises, and says which shape it must be


def is_grey(shape: tuple[int, ...], spec: RowSpec) -> bool:
    """Whether an array is of images without an axis of channels, where the model takes such with one."""
    return len(spec.axes) == 3 and spec.axes[2] == 1 and shape[1:] == spec.axes[:2]


def is_channels_first(shape: tuple[int, ...], spec: RowSpec) -> bool:
    """Whether an array is of images whose channels come first, as in the arrays that the model was trained on."""
    if not isinstance(spec, DataSpec) or spec.array_fit is None or not spec.array_fit.channels_first:
        return False
    height, width, channels = spec.shape
    return shape[1:] == (channels, height, width)


def _as_trained(rows: AnyArray, spec: RowSpec) -> AnyArray:
    return fit_array(rows, spec, "row") if isinstance(spec, DataSpec) else rows
