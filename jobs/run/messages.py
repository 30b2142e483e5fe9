"""What a worker and its driver tell each other: JSON, one message a line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from jobs.engine.opening import EngineChoice
from jobs.plan.plan import RowError
from vaeserve.records import Record


class Begin(Record):
    """To a worker, first: which job, and who computes."""

    out: Path
    engine: EngineChoice


class RunPartition(Record):
    """To a worker: compute this partition."""

    key: str


class RowsDone(Record):
    """From a worker: so many more rows of a partition are computed."""

    kind: Literal["rows"] = "rows"
    key: str
    rows: int
    errors: tuple[RowError, ...] = ()


class PartitionDone(Record):
    """From a worker: its partition's marker is written."""

    kind: Literal["done"] = "done"
    key: str


class PartitionLost(Record):
    """From no worker, because it was killed: its partition begins again."""

    key: str


class WorkerFailed(Record):
    """From a worker: the job cannot go on."""

    kind: Literal["failed"] = "failed"
    message: str


Event = RowsDone | PartitionDone | PartitionLost
"""What becomes of partitions, whoever computes them."""

WorkerMessage = Annotated[RowsDone | PartitionDone | WorkerFailed, Field(discriminator="kind")]

_from_worker: TypeAdapter[RowsDone | PartitionDone | WorkerFailed] = TypeAdapter(WorkerMessage)


def parse_message(line: bytes) -> RowsDone | PartitionDone | WorkerFailed:
    """Returns a worker's message. Raises ValidationError, a ValueError, of anything else."""
    return _from_worker.validate_json(line)
