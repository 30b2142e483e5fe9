"""The journal, metrics.jsonl: one JSON object an epoch, and the held-out figures as its last line."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from training.card.learning_curve import LearningCurve, Point
from training.models import kind_named
from training.run.checkpoint import Checkpoint
from vaeserve.errors import TrainingError
from vaeserve.files import write_whole

JOURNAL_FILE = "metrics.jsonl"


def read_curve(path: Path, last: Checkpoint) -> LearningCurve | None:
    """Returns a run's losses until a checkpoint; None if an epoch is missing, or is the only one.

    Args:
        path: the journal.
        last: the checkpoint.
    """
    records = [json.loads(line) for line in _lines_until(path, last.epoch)]
    try:
        points = tuple(Point(each["steps"], each["loss_nats"], each["validation_nats"]) for each in records)
    except KeyError:  # an older version wrote it
        return None
    if len(points) != last.epoch or sum(point.loss_nats is not None for point in points) < 2:
        return None
    kind = kind_named(last.config.model)
    best = last.exported_best - 1 if last.exported_best else None
    return LearningCurve(points, best, kind.loss_title, kind.validates)


class Journal:
    """Writes one line for each set of figures.

    Args:
        path: the file; lines of epochs after `epoch` are dropped, because a resumed run repeats those epochs.
        epoch: number of epochs that the run has done already.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self._path = path
        try:
            write_whole(path, b"".join(_lines_until(path, epoch)))
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be written: {exc.strerror}") from exc

    def write(self, split: str, figures: Mapping[str, float | None]) -> None:
        """Adds a line.

        Args:
            split: what the figures were measured on, "train" or "test".
            figures: by name; units are in the names. JSON has no infinity and no NaN: those become null.

        Raises:
            TrainingError: the file cannot be written.
        """
        finite = {name: value if value is None or isfinite(value) else None for name, value in figures.items()}
        try:
            self._file.write(json.dumps({"split": split, **finite}) + "\n")
            self._file.flush()
        except OSError as exc:
            raise TrainingError(f"{self._path}: cannot be written: {exc.strerror}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def _lines_until(path: Path, epoch: int) -> list[bytes]:
    """Returns the lines of the epochs up to `epoch`, or up to a line that was cut short or damaged."""
    lines: list[bytes] = []
    if not path.exists():
        return lines
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict) or record.get("split") != "train" or not line.endswith(b"\n"):
            break
        done = record.get("epoch")
        if not isinstance(done, int) or done > epoch:
            break
        lines.append(line)
    return lines
