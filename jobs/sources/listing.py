"""Listing: the files of a source by name, in order, all of one kind."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, Literal

from jobs.sources.places import Place, place_at
from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.sources.fitting import is_idx
from vaeserve.sources.pictures import is_picture_name

Kind = Literal["pictures", "archives", "arrays", "tables"]
_KINDS: dict[str, Kind] = {
    ".tar": "archives",
    **dict.fromkeys((".npy", ".npz", ".safetensors"), "arrays"),
    **dict.fromkeys((".parquet", ".csv"), "tables"),
}
_ONE: dict[Kind, str] = {"pictures": "a picture", "archives": "an archive", "arrays": "an array", "tables": "a table"}
READABLE = "pictures (PNG, JPEG, WebP or TIFF), .tar, .npy, .npz, .safetensors, IDX, .parquet or .csv"


class Listing:
    """Files at one address, or at several; then every name begins with the last part of its address.

    Args:
        addresses: paths or URLs of folders and files.

    Raises:
        InvalidInput: named by the address; nothing is there, or two addresses end in the same name.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        if not addresses:
            raise InvalidInput("source", "name at least one folder or file")
        self._is_lone = len(addresses) == 1
        self._places = dict[str, Place]()
        for address in addresses:
            name = _last_part(address)
            if name in self._places:
                other = printable(self._places[name].address)
                raise InvalidInput(printable(address), f"ends in {printable(name)!r}, as {other} does: rename one")
            self._places[name] = place_at(address)
        self._folders = {name: place.is_folder() for name, place in self._places.items()}
        self._first: tuple[str, Kind] | None = None

    @property
    def title(self) -> str:
        """What messages call the source."""
        return printable(next(iter(self._places.values())).address)

    @property
    def threads(self) -> int:
        """How many files are worth reading at once."""
        return max(place.threads for place in self._places.values())

    @property
    def kind(self) -> Kind:
        """What the files are. Among pictures, a .csv file is taken for what is said about them.

        Raises:
            InvalidInput: named by the address; there is no file that can be read.
        """
        if self._first is None:
            self._first = self._find_first()
        return self._first[1]

    def names(self) -> Iterator[str]:
        """Yields the names of the files that are read, in order.

        Raises:
            InvalidInput: named by the file; it is of another kind than the first.
        """
        kind = self.kind
        for name in self._all():
            other = self._kind_of(name)
            if other == kind:
                yield name
            elif other is not None and not _is_about_pictures(name, kind):
                first = self._first[0] if self._first else ""
                problem = f"is {_ONE[other]}, {printable(first)} is {_ONE[kind]}: give files of one kind"
                raise InvalidInput(self.called(name), problem)

    def called(self, name: str) -> str:
        """Returns what messages call a file: its address."""
        place, within = self._find(name)
        return printable(f"{place.address.rstrip('/')}/{within}" if within else place.address)

    def read(self, name: str) -> bytes:
        """Returns the content of a picture's file. Raises InvalidInput if it cannot be read."""
        place, within = self._find(name)
        return place.read(within)

    def open(self, name: str) -> BinaryIO:
        """Returns an open file that can be read from anywhere. Raises InvalidInput if it cannot be read."""
        place, within = self._find(name)
        return place.open(within)

    def stamp(self, name: str) -> str:
        """Returns what changes when a file changes, or "". Raises InvalidInput if it cannot be read."""
        place, within = self._find(name)
        return place.stamp(within)

    def _find_first(self) -> tuple[str, Kind]:
        table: tuple[str, Kind] | None = None
        for name in self._all():
            kind = self._kind_of(name)
            if kind is not None and not name.lower().endswith(".csv"):
                return name, kind
            if kind is not None:
                table = table or (name, kind)
        if table is None:
            raise InvalidInput(self.title, f"holds nothing to read: {READABLE}")
        return table

    def _all(self) -> Iterator[str]:
        for name in sorted(self._places):
            if not self._folders[name]:
                yield name
                continue
            prefix = "" if self._is_lone else f"{name}/"
            yield from (prefix + below for below in self._places[name].walk())

    def _kind_of(self, name: str) -> Kind | None:
        kind = _kind_by_name(name)
        if kind is not None:
            return kind
        place, within = self._find(name)
        if place.is_picture(within):
            return "pictures"
        if not within:
            raise InvalidInput(self.called(name), f"is not of a kind that can be read: {READABLE}")
        return None

    def _find(self, name: str) -> tuple[Place, str]:
        """Returns a file's place, and its name there."""
        if self._is_lone:
            place = next(iter(self._places.values()))
            return place, name if self._folders[next(iter(self._places))] else ""
        first, _, within = name.partition("/")
        return self._places[first], within


def _kind_by_name(name: str) -> Kind | None:
    path = PurePosixPath(name)
    if is_idx(path):
        return "arrays"
    kind = _KINDS.get(path.suffix.lower())
    return "pictures" if kind is None and is_picture_name(path.name) else kind


def _is_about_pictures(name: str, kind: Kind) -> bool:
    return kind == "pictures" and name.lower().endswith(".csv")


def _last_part(address: str) -> str:
    """Returns the last part of an address; of a store's root its name, of a path like "." the folder's own."""
    name = address.rstrip("/").rsplit("/", 1)[-1]
    if name in ("", ".", "..") and "://" not in address:
        from pathlib import Path

        return Path(address).resolve().name or "root"
    return name
