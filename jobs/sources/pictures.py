"""PictureSource: a folder of pictures, each a row. A bad one is an error row, never an exception."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from jobs.rows import Chunk, SourceFile, Span
from jobs.sources.chunks import PictureRow, join_pictures
from jobs.sources.contents import CHANGED
from jobs.sources.listing import Listing
from jobs.sources.window import Window
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.sources.pictures import NO_PICTURES, picture_row


class PictureSource:
    """Pictures by name; see RowSource.

    Args:
        listing: the files.
        spec: the model's data, which `check_takes_pictures` has accepted.
    """

    kind = "pictures"
    columns: tuple[str, ...] = ()

    def __init__(self, listing: Listing, spec: DataSpec) -> None:
        self._listing = listing
        self._spec = spec
        self._window = Window(listing.threads)

    def files(self) -> Iterator[SourceFile]:
        """See RowSource."""
        is_empty = True
        for file in self._window.map(self._hashed, self._listing.names()):
            is_empty = False
            yield file
        if is_empty:
            raise InvalidInput(self._listing.title, NO_PICTURES)

    def read(self, spans: Sequence[Span], chunk_rows: int) -> Iterator[Chunk]:
        """See RowSource."""
        return join_pictures(self._window.map(self._read, spans), self._spec, chunk_rows)

    def close(self) -> None:
        """See RowSource."""
        self._window.close()

    def _hashed(self, name: str) -> SourceFile:
        try:
            return SourceFile(name, sha256(self._listing.read(name)).hexdigest(), 1)
        except InvalidInput:  # reading its row says why
            return SourceFile(name, "", 1)

    def _read(self, span: Span) -> PictureRow:
        try:
            content = self._listing.read(span.file)
            if not span.sha256:
                raise InvalidInput(span.file, "could not be read when the job was planned: --update takes it")
            if sha256(content).hexdigest() != span.sha256:
                raise InvalidInput(span.file, CHANGED)
            return PictureRow(span.file, 0, picture_row(content, "picture", self._spec))
        except InvalidInput as exc:
            return PictureRow(span.file, 0, None, exc.description)
