"""PictureSource: a folder of pictures, each a row. A bad one is an error row, never an exception."""

from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256

from jobs.rows import Chunk, SizedRows, SourceFile, Span
from jobs.sources.chunks import PictureRow, join_pictures
from jobs.sources.contents import CHANGED
from jobs.sources.fit_pictures import PictureFit
from jobs.sources.listing import Listing
from jobs.sources.window import Window
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.sources.pictures import NO_PICTURES


class PictureSource:
    """Pictures by name; see RowSource.

    Args:
        listing: the files.
        fit: how pictures become rows.
    """

    kind = "pictures"
    columns: tuple[str, ...] = ()

    def __init__(self, listing: Listing, fit: PictureFit) -> None:
        self._listing = listing
        self._fit = fit
        self._window = Window(listing.threads)

    def files(self) -> Iterator[SourceFile]:
        """See RowSource."""
        is_empty = True
        for file in self._window.map(self._hashed, self._listing.names()):
            is_empty = False
            yield file
        if is_empty:
            raise InvalidInput(self._listing.title, NO_PICTURES)

    def read(self, spans: Sequence[Span], chunk_rows: int, size: PictureSize | None = None) -> Iterator[Chunk]:
        """See RowSource."""
        pictures = self._window.map(partial(self._read, size), spans)
        return join_pictures(pictures, self._fit.spec, chunk_rows, size)

    def close(self) -> None:
        """See RowSource."""
        self._window.close()

    def _hashed(self, name: str) -> SourceFile:
        sizes = (SizedRows(1, None),) if self._fit.has_sizes else ()
        try:
            content = self._listing.read(name)
        except InvalidInput:  # reading its row says why
            return SourceFile(name, "", 1, sizes=sizes)
        if sizes:
            sizes = (SizedRows(1, self._fit.size_of(content)),)
        return SourceFile(name, sha256(content).hexdigest(), 1, sizes=sizes)

    def _read(self, size: PictureSize | None, span: Span) -> PictureRow:
        try:
            content = self._listing.read(span.file)
            if not span.sha256:
                raise InvalidInput(span.file, "could not be read when the job was planned: --update takes it")
            if sha256(content).hexdigest() != span.sha256:
                raise InvalidInput(span.file, CHANGED)
            return self._fit.row(content, span.file, 0, size)
        except InvalidInput as exc:
            return PictureRow(span.file, 0, None, exc.description)
