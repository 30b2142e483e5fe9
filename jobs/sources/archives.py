"""ArchiveSource: tar archives as WebDataset writes them, whose members that are pictures are rows."""

from collections.abc import Iterator, Sequence
from functools import partial

from jobs.rows import Chunk, SizedRows, SourceFile, Span
from jobs.sources.chunks import PictureRow, join_pictures
from jobs.sources.contents import Unchanged, sha256_of
from jobs.sources.fit_pictures import PictureFit
from jobs.sources.listing import Listing
from jobs.sources.members import Member, Members
from jobs.sources.window import Window
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.sources.pictures import NO_PICTURES


class ArchiveSource:
    """Pictures in archives, in the archives' order; see RowSource.

    Args:
        listing: the archives.
        fit: how pictures become rows.
    """

    kind = "archives"
    columns: tuple[str, ...] = ()

    def __init__(self, listing: Listing, fit: PictureFit) -> None:
        self._listing = listing
        self._fit = fit
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
                count, sizes = self._measured(Members(file, self._listing.called(name)))
            rows += count
            yield SourceFile(name, digest, count, stamp, sizes)
        if not rows:
            raise InvalidInput(self._listing.title, NO_PICTURES)

    def read(self, spans: Sequence[Span], chunk_rows: int, size: PictureSize | None = None) -> Iterator[Chunk]:
        """See RowSource."""
        pictures = self._window.map(partial(self._decoded, size), self._members(spans))
        return join_pictures(pictures, self._fit.spec, chunk_rows, size)

    def close(self) -> None:
        """See RowSource."""
        self._window.close()
        self._close_archive()

    def _measured(self, members: Members) -> tuple[int, tuple[SizedRows, ...]]:
        """Returns how many pictures an archive has, and the size of each where rows may have many sizes."""
        if not self._fit.has_sizes:
            return members.count(), ()
        sizes = [SizedRows(1, self._fit.size_of(member.content)) for member in members.rest()]
        return len(sizes), tuple(sizes)

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

    def _decoded(self, size: PictureSize | None, read: tuple[str, int, Member]) -> PictureRow:
        file, number, member = read
        source = f"{file}/{member.name}"
        if member.error:
            return PictureRow(source, number, None, member.error)
        try:
            return self._fit.row(member.content, source, number, size)
        except InvalidInput as exc:
            return PictureRow(source, number, None, exc.description)
