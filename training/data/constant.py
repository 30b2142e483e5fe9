"""A table -> the table without the columns that do not vary, because they have no scale."""

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.sources.content import Content, table_spec
from vaeserve.sources.names import column_of
from vaeserve.sources.precision import LIMIT
from vaeserve.sources.table import refusal


def leave_out_constant(content: Content, train: npt.NDArray[np.intp], name: str, skip_bad: bool) -> Content:
    """Returns a table without the columns that do not vary over the rows to train on.

    Args:
        content: a table.
        train: indices of the rows to train on.
        name: of the table, for errors.
        skip_bad: whether to leave out such columns instead of refusing the table.

    Raises:
        InvalidInput: there is such a column and `skip_bad` is false, or no column varies; its field is the path.
    """
    rows = content.values[train]
    varies = rows.max(0) > rows.min(0)
    constant = [int(column) for column in np.flatnonzero(~varies)]
    lines = [
        f"{name}: {column_of(content.columns[column])} is {rows[0, column]:g} in every row to train on"
        for column in constant
    ]
    if not lines:
        return content
    if not varies.any():
        raise InvalidInput(name, "no column varies over the rows to train on")
    if not skip_bad:
        raise refusal(name, lines)
    values = np.ascontiguousarray(content.values[:, varies])
    columns = tuple(name for name, stays in zip(content.columns, varies.tolist(), strict=True) if stays)
    return content._replace(
        values=values, spec=table_spec(columns, LIMIT), columns=columns, skipped=(*content.skipped, *lines)
    )
