"""Arrays of rows: joined, and shortened to float16."""

from collections.abc import Sequence

import numpy as np

from vaeserve.errors import PreconditionFailed
from vaeserve.package.row_spec import Array, place


def join(parts: Sequence[Array]) -> Array:
    """Returns the rows of all parts, without a copy if there is only one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def to_float16(rows: Array, field: str) -> Array:
    """Returns floating-point rows as float16, rounded to nearest, and rows of any other type as they are.

    Raises:
        PreconditionFailed: FLOAT16_OVERFLOW; a finite value is too large for it.
    """
    if rows.dtype.kind != "f":
        return rows
    with np.errstate(over="ignore"):
        converted = rows.astype(np.float16)
    too_large = np.isinf(converted)
    too_large &= np.isfinite(rows)
    if too_large.any():
        index = np.unravel_index(int(np.argmax(too_large)), too_large.shape)
        raise PreconditionFailed(
            "FLOAT16_OVERFLOW", f"{field}: {place(rows, index)} is too large for float16: ask for float32"
        )
    return converted
