"""ArchiveSource: tar archives as WebDataset writes them, whose members that are pictures are rows."""

from collections.abc import Iterator, Sequence

from jobs.rows import Chunk, SourceFile, Span
from jobs.sources.chunks import PictureRow, join_pictures
from jobs.sources.contents import Unchanged, sha256_of
from jobs.sources.listing import Listing
from jobs.sources.members import Member, Members
from jobs.sources.window import Window
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.sources.pictures import NO_PICTURES, picture_row


class ArchiveSource:
    """Pictures in archives, in the archives' order; see RowSource.

    Args:
        listing: the archives.
        spec: the model's data, which `check_takes_pictures` has accepted.
    """

    kind = "archives"
    columns: tuple[str, ...] = ()

    def __init__(self, listing: Listing, spec: DataSpec) -> None:
        self._listing = listing
        self._spec = spec
        self._window = Window(listing.threads)
        self._unchanged = Unchanged(listing)
        self._open: tuple[Span, Members] | None = None
        """The archive that was read last, with the span that was."""

    def files(self) -> Iterator[SourceFile]:
        """See RowSource."""
        rows = 0
        for name in self._listing.names():
            stamp = self._listing.stamp(name)
            with self._listing.open(name) as file:
                digest = sha256_of(file, self._listing.called(name))
                count = Members(file, self._listing.called(name)).count()
            rows += count
            yield SourceFile(name, digest, count, stamp)
        if not rows:
            raise InvalidInput(self._listing.title, NO_PICTURES)

    def read(self, spans: Sequence[Span], chunk_rows: int) -> Iterator[Chunk]:
        """See RowSource."""
        pictures = self._window.map(self._decoded, self._members(spans))
        return join_pictures(pictures, self._spec, chunk_rows)

    def close(self) -> None:
        """See RowSource."""
        self._window.close()
        self._close_archive()

    def _members(self, spans: Sequence[Span]) -> Iterator[tuple[str, int, Member]]:
        """Yields the members that are rows: their archive, number and content."""
        for span in spans:
            self._unchanged.check(span)
            members = self._opened(span)
            for number in range(span.start, span.stop):
                member = members.read(number)
                if number + 1 == span.stop:
                    self._unchanged.check(span)  # before the last row is handed on
                yield span.file, number, member

    def _opened(self, span: Span) -> Members:
        """Returns a file's members, read on from where the last span ended where that is possible."""
        if self._open is not None:
            last, members = self._open
            if (last.file, last.sha256) == (span.file, span.sha256) and members.position <= span.start:
                return members
        self._close_archive()
        members = Members(self._listing.open(span.file), self._listing.called(span.file))
        self._open = span, members
        return members

    def _close_archive(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _decoded(self, read: tuple[str, int, Member]) -> PictureRow:
        file, number, member = read
        source = f"{file}/{member.name}"
        if member.error:
            return PictureRow(source, number, None, member.error)
        try:
            return PictureRow(source, number, picture_row(member.content, "picture", self._spec))
        except InvalidInput as exc:
            return PictureRow(source, number, None, exc.description)
