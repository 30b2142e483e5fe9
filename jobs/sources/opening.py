"""Opens a source: the one doorway of this room."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from jobs.rows import RowSource
from jobs.settings import JobSettings
from jobs.sources.archives import ArchiveSource
from jobs.sources.arrays import ArrayFile
from jobs.sources.contents import close_on_error
from jobs.sources.fit_pictures import PictureFit
from jobs.sources.listing import Listing
from jobs.sources.pictures import PictureSource
from jobs.sources.row_files import RowFile, RowFileSource
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import RowSpec
from vaeserve.rows.image_checks import takes_images
from vaeserve.sources.names import quoted

if TYPE_CHECKING:
    from jobs.sources.tables import TableRows


def open_source(
    addresses: Sequence[str],
    spec: RowSpec,
    columns: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
    *,
    enlarges: bool = True,
) -> RowSource:
    """Returns the source at one address or at several.

    Args:
        addresses: paths or URLs of folders and files, all of one kind.
        spec: the model's rows.
        columns: of a table, those that become a row, in order, or the one that holds lists. Empty: chosen here.
        keep: of a table, those that travel along.
        enlarges: whether a picture that is smaller than its row is scaled up, where rows may have many sizes.

    Raises:
        InvalidInput: named by the address; nothing is there that can be read, or it cannot be rows of the model.
    """
    listing = Listing(addresses)
    kind = listing.kind
    if kind == "tables" and spec.sizes is not None:
        raise InvalidInput(listing.title, "is a table, which does not say what sizes its rows have: give other files")
    if kind == "tables":
        return _tables(listing, spec, columns, keep)
    if unknown := (*columns, *keep):
        raise InvalidInput(listing.title, f"has no column {quoted(unknown[0])}: it holds {kind}")
    if kind == "arrays":
        return RowFileSource(listing, partial(ArrayFile, spec=spec))
    fit = PictureFit(_pictured(listing, spec), enlarges)
    return ArchiveSource(listing, fit) if kind == "archives" else PictureSource(listing, fit)


def open_planned(addresses: Sequence[str], spec: RowSpec, settings: JobSettings) -> RowSource:
    """Returns the source of a job. See `open_source`.

    Args:
        addresses: paths or URLs of folders and files, all of one kind.
        spec: the model's rows.
        settings: the job's.
    """
    return open_source(addresses, spec, settings.columns, settings.keep, enlarges=settings.small != "refuse")


def _pictured(listing: Listing, spec: RowSpec) -> DataSpec:
    """Returns the model's data, of which pictures can be rows."""
    if isinstance(spec, DataSpec) and takes_images(spec.smallest) and (spec.sizes is None or spec.channels != 4):
        return spec
    what = f"{spec.kind} rows" if isinstance(spec, DataSpec) else "latents"
    raise InvalidInput(listing.title, f"holds pictures, the model takes {what} of shape {list(spec.axes)}")


def _tables(listing: Listing, spec: RowSpec, columns: tuple[str, ...], keep: tuple[str, ...]) -> RowSource:
    try:
        from jobs.sources.choosing import choose_columns
        from jobs.sources.tables import TableRows, open_table
    except ModuleNotFoundError as exc:  # the base install has no Arrow
        raise InvalidInput(listing.title, f"needs {exc.name}: install the extra jobs") from exc

    def chosen() -> tuple[str, ...]:
        for name in listing.names():
            called = listing.called(name)
            with closing(open_table(partial(listing.open, name), name, called)) as table:
                if (names := choose_columns(table, called, spec, keep)) is not None:
                    return names
        raise InvalidInput(listing.title, "holds no rows")

    taken = columns or chosen()
    check = _SameTypes()

    def open_rows(open_file: Callable[[], BinaryIO], name: str, called: str) -> RowFile:
        table = open_table(open_file, name, called)
        with close_on_error(table):
            rows = TableRows(table, called, taken, keep, spec)
            check(rows, called)
        return rows

    return RowFileSource(listing, open_rows, taken)


class _SameTypes:
    """Makes sure that columns that travel along have one type in all files, because they become one column."""

    def __init__(self) -> None:
        self._first: tuple[str, dict[str, Any]] | None = None

    def __call__(self, rows: "TableRows", called: str) -> None:
        if not rows.keep_types:
            return
        other, types = self._first = self._first or (called, rows.keep_types)
        for name, kind in rows.keep_types.items():
            if kind != types[name]:
                raise InvalidInput(called, f"column {quoted(name)} is {kind}, in {other} it is {types[name]}")
