"""Sink: takes a partition's rows with their answers, chunk by chunk, and writes one file."""

from importlib.util import find_spec
from typing import BinaryIO, NamedTuple, Protocol

from jobs.classes import Labels
from jobs.engine.answers import Answers
from jobs.rows import Chunk
from jobs.settings import FileFormat, JobSettings, ModelFacts
from jobs.sinks.layout import file_columns
from vaeserve.errors import InvalidInput, how_to_install
from vaeserve.printable import printable


class AnsweredChunk(NamedTuple):
    """Consecutive rows and what became of them."""

    first_row: int
    chunk: Chunk | None
    """None: the rows were sampled."""
    answers: Answers
    """With the errors of reading too."""
    labels: Labels | None = None
    """Number of each row's class, where the source has classes."""


class Sink(Protocol):
    """Writes one file."""

    def add(self, answered: AnsweredChunk) -> None:
        """Takes the next rows."""
        ...

    def finish(self) -> None:
        """Writes what is left."""
        ...


SUFFIXES: dict[FileFormat, str] = {"parquet": ".parquet", "safetensors": ".safetensors", "npy": ".npy"}


def default_format(verb: str, model: ModelFacts) -> FileFormat:
    """Returns the format that readers of such answers take best."""
    if verb == "encode":
        return "parquet" if len(model.latent_shape) == 1 else "safetensors"
    return "parquet" if verb == "reconstruct" or model.data.kind == "table" else "npy"


def check_format(settings: JobSettings, model: ModelFacts) -> None:
    """Refuses what a format cannot hold.

    Raises:
        InvalidInput: names the option.
    """
    if settings.lists == "fixed" and model.data.sizes is not None:
        raise InvalidInput("--lists", f"is fixed: rows of model {printable(model.name)} have many sizes")
    if settings.format == "parquet":
        if find_spec("pyarrow") is None:
            raise InvalidInput("--format", f"is parquet, which needs pyarrow: {how_to_install('serving,jobs')}")
        if settings.dtype != "float32":
            raise InvalidInput("--dtype", "is for safetensors and npy: many readers of Parquet know no float16")
        if twice := [name for name in settings.keep if name in file_columns(settings, model)]:
            raise InvalidInput("--keep", f"is {printable(twice[0])}: this job's files have such a column of their own")
        return
    if settings.verb == "reconstruct":
        raise InvalidInput("--format", f"is {settings.format}: scores are columns, which parquet holds")
    if settings.keep:
        raise InvalidInput("--keep", f"needs --format parquet: {settings.format} holds no columns")
    if settings.lists != "plain":
        raise InvalidInput("--lists", "is for --format parquet")
    if settings.format == "npy" and (settings.output == "moments" or settings.flip):
        what = "--flip asks for more" if settings.flip else "moments are two"
        raise InvalidInput("--format", f"is npy, which holds one array: {what}, take parquet or safetensors")


def open_sink(file: BinaryIO, settings: JobSettings, model: ModelFacts, classes: tuple[str, ...]) -> Sink:
    """Returns what writes into an open file."""
    if settings.format == "parquet":
        from jobs.sinks.parquet import ParquetSink

        return ParquetSink(file, settings, model)
    if settings.format == "safetensors":
        from jobs.sinks.tensors import TensorSink

        return TensorSink(file, settings, model, classes)
    from jobs.sinks.arrays import ArraySink

    return ArraySink(file, settings, model)
