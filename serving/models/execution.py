"""Execution: how a model's graphs are run: as the settings say, else as the cache says, else as is measured."""

import logging
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.engine.providers import Provider, runtime_version
from serving.models.measuring import Measurement, OpenRunner, cheapest, measure, thread_counts
from serving.settings import Settings
from vaeserve.files import write_whole
from vaeserve.machine.cpus import available_cpus, processor_name

_log = logging.getLogger(__name__)

_START_SECONDS = 0.8  # beside the run that is in progress when it ends


class Execution(NamedTuple):
    """How a model's graphs are run."""

    executors: int
    """Maximum number of batches that run at the same time."""
    threads: int
    """Threads that one of them takes."""
    batch_rows: int
    """Maximum number of rows in a batch."""
    source: str
    """Where the numbers come from: `set`, `cached` or `measured`."""


class TuningPlace(NamedTuple):
    """What a measurement holds for."""

    fingerprint: str
    provider: Provider
    cpus: int

    @classmethod
    def here(cls, fingerprint: str, provider: Provider) -> Self:
        """Returns the place of a pair on this machine. A GPU runs one batch at a time, whatever the processors."""
        return cls(fingerprint, provider, 1 if provider == "cuda" else available_cpus())

    def file(self, cache: Path) -> Path:
        """Returns where a cache keeps the measurement."""
        return cache / f"{self.fingerprint[:32]}-{self.provider}-{self.cpus}.json"


class Tuned(BaseModel):
    """A measurement's outcome, as a cache keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    executors: int = Field(ge=1)
    threads: int = Field(ge=1)
    batch_rows: int = Field(ge=1)
    processor: str
    onnxruntime: str


def decide(place: TuningPlace, settings: Settings, earlier: Execution | None, open_runner: OpenRunner) -> Execution:
    """Returns how a pair is to be run.

    Args:
        place: the pair, and where it runs.
        settings: each part may be set. The rest comes from the cache, from `earlier`, or is measured.
        earlier: how an earlier version of the model is run. Measuring again would disturb that version's callers.
        open_runner: opens the graphs for a number of threads, to measure them.
    """
    executors, threads, batch_rows = settings.executors, settings.threads, settings.batch_rows
    if executors and not threads:
        threads = max(1, place.cpus // executors)
    if threads and batch_rows:
        return Execution(executors or max(1, place.cpus // threads), threads, batch_rows, "set")
    tuned = _read(place, settings.tuning_cache) or earlier
    if tuned is None or threads not in (0, tuned.threads):
        candidates = [threads] if threads else thread_counts(place.cpus)
        best = cheapest(measure(open_runner, candidates, place.cpus, _START_SECONDS))
        tuned = Execution(best.executors, best.threads, best.batch_rows, "measured")
    return Execution(
        executors or tuned.executors, threads or tuned.threads, batch_rows or tuned.batch_rows, tuned.source
    )


def remember(place: TuningPlace, chosen: Measurement, cache: Path) -> Path:
    """Writes what was measured into a cache, and returns the file.

    Raises:
        OSError: it cannot be written.
    """
    tuned = Tuned(
        executors=chosen.executors,
        threads=chosen.threads,
        batch_rows=chosen.batch_rows,
        processor=processor_name(),
        onnxruntime=runtime_version(),
    )
    path = place.file(cache)
    cache.mkdir(parents=True, exist_ok=True)
    write_whole(path, tuned.model_dump_json(indent=2).encode() + b"\n")
    return path


def check_cache(cache: Path) -> None:
    """Checks that a cache can be written, before time is spent on a measurement to keep there.

    Raises:
        OSError: it cannot.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=cache):
        pass


def _read(place: TuningPlace, cache: Path) -> Execution | None:
    """Returns what a cache holds, if it was measured on a machine like this."""
    path = place.file(cache)
    try:
        tuned = Tuned.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        _log.warning("%s is passed over: %s", path, str(exc).splitlines()[0])
        return None
    if (tuned.processor, tuned.onnxruntime) != (processor_name(), runtime_version()):
        _log.warning("%s is passed over: measured on another processor or ONNX Runtime; run `vae tune` again", path)
        return None
    return Execution(tuned.executors, tuned.threads, tuned.batch_rows, "cached")
