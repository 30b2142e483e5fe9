"""Which columns of a table become rows, where nobody says so."""

import numpy as np

from jobs.sources.cells import is_list
from jobs.sources.cursor import Cells, TableFile
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import LatentSpec, RowSpec
from vaeserve.rows.codes import CodesSpec
from vaeserve.sources.cells import numbers_of
from vaeserve.sources.names import column_of, listed_columns
from vaeserve.sources.surplus import have_names, surplus_columns
from vaeserve.sources.table import to_float32

_WRITTEN: dict[type[RowSpec], str] = {LatentSpec: "latent", CodesSpec: "codes"}  # columns of `vae job encode`


def choose_columns(table: TableFile, called: str, spec: RowSpec, keep: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the names of the columns that the model was trained on; else of the one whose lists are a row's length.

    Else all columns, without those to keep and an index, if they are as many as the model takes. None: the table has
    no rows to tell from.

    Raises:
        InvalidInput: named by `called`; no columns fit, or more than one of lists.
    """
    names = spec.columns if isinstance(spec, DataSpec) else ()
    if names and set(names) <= set(table.columns):
        return names
    every = tuple(range(len(table.columns)))
    first = next((cells for cells in table.batches(0, every) if len(cells)), None) if every else None
    if first is None:
        return None
    lists = [place for place in every if _holds_rows(table, place, first, spec)]
    if (written := _WRITTEN.get(type(spec))) in table.columns:
        lists = [place for place in lists if table.columns[place] == written] or lists
    if len(lists) > 1:
        listed = listed_columns([table.columns[place] for place in lists])
        raise InvalidInput(called, f"cannot tell which column holds the rows: {listed}")
    if lists and isinstance(spec, LatentSpec) and str(table.columns[lists[0]]) == _WRITTEN[CodesSpec]:
        raise InvalidInput(called, "holds codes, not latents: decode them by --codes")
    if lists:
        return (str(table.columns[lists[0]]),)
    if isinstance(spec, DataSpec) and spec.kind == "image":
        raise InvalidInput(
            called,
            f"holds a table, the model takes images of shape {list(spec.shape)}: name the {spec.value_count} columns "
            "of pixels by --columns",
        )
    for name in names if have_names(table.columns) else ():
        if name not in table.columns:
            has = listed_columns(table.columns)
            raise InvalidInput(called, f"has no {column_of(name)}, which the model takes; it has {has}")
    return _all_numbers(table, called, first, spec, keep)


def _holds_rows(table: TableFile, place: int, first: Cells, spec: RowSpec) -> bool:
    """Whether a column holds lists of as many values as a row has, by the first that is not missing."""
    if not is_list(table.type_of(place)):
        return False
    lists = first.table.column(place).drop_null()
    return len(lists) > 0 and len(lists[0].values) == spec.value_count


def _all_numbers(table: TableFile, called: str, first: Cells, spec: RowSpec, keep: tuple[str, ...]) -> tuple[str, ...]:
    places = [place for place, name in enumerate(table.columns) if str(name) not in keep]
    if len(places) > spec.value_count:
        values = np.stack([to_float32(numbers_of(first.table.column(place))) for place in places], axis=1)
        columns = [table.columns[place] for place in places]
        surplus = surplus_columns(columns, values, np.arange(len(first)))
        places = [place for number, place in enumerate(places) if number not in surplus]
    if len(places) != spec.value_count:
        raise InvalidInput(called, f"has {len(places)} columns, the model takes {spec.value_count}")
    return tuple(str(table.columns[place]) for place in places)
