"""Plan: the partitions of a job; Marker: what became of one."""

from datetime import datetime
from typing import Final, Literal

from jobs.settings import JobSettings, ModelFacts
from vaeserve.package.sizes import PictureSize
from vaeserve.records import Record

PLAN_VERSION: Final = 1


class Partition(Record):
    """Consecutive rows that become one file."""

    key: str
    """Names the partition and its marker."""
    spans: str = ""
    """Names the file of its spans; empty: its rows are sampled. Two processes that plan at once use other names."""
    file: str
    first_row: int
    """Address of its first row: the row's place in the sorted source, counted on where an update adds rows.

    Where pictures have many sizes, the source is sorted by the size of their partitions first.
    """
    rows: int
    size: PictureSize | None = None
    """Of its pictures, where it is free."""


class SourceFacts(Record):
    """The source as it was when the job was planned."""

    addresses: tuple[str, ...]
    kind: str
    files: int
    digest: str
    """SHA-256 over every file's name, content hash and number of rows, in order."""
    classes: tuple[str, ...] = ()
    """Of pictures that lie in folders: a label is the place of its class here."""


class Plan(Record):
    """A job: what is done to which rows, and in which files the answers lie."""

    version: Literal[1] = PLAN_VERSION
    settings: JobSettings
    model: ModelFacts
    source: SourceFacts | None
    """None: rows are sampled."""
    rows: int
    next_row: int
    """The address after the highest that was ever used."""
    update: int = 0
    """How often the plan was brought up to date with its source."""
    partitions: tuple[Partition, ...]


class RowError(Record):
    """A row without an answer."""

    row: int
    source: str
    source_row: int
    reason: str


class Seconds(Record):
    """Where a partition's time went."""

    read: float = 0.0
    infer: float = 0.0
    write: float = 0.0

    @property
    def total(self) -> float:
        """Their sum."""
        return self.read + self.infer + self.write

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(read=self.read + other.read, infer=self.infer + other.infer, write=self.write + other.write)


class RowMoments(Record):
    """Of latents, for each value, or for each channel of spatial ones: mean, and sum of squared deviations from it."""

    count: int
    """Numbers behind each mean."""
    mean: tuple[float, ...]
    squares: tuple[float, ...]


class Marker(Record):
    """A partition is done: its file is whole, and this is what the file holds."""

    key: str
    file: str
    bytes: int
    sha256: str
    rows: int
    errors: tuple[RowError, ...]
    seconds: Seconds
    moments: RowMoments | None
    """Of the latents that were written."""
    finished_at: datetime
    versions: dict[str, str]
