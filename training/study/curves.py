"""Learning curves of several runs, in one picture."""

from collections.abc import Sequence
from pathlib import Path

from training.card.learning_curve import learning_curves
from training.card.picture import to_png
from training.run.progress import say
from training.study.subject import Subject
from vaeserve.errors import TrainingError
from vaeserve.files import write_whole


def write_curves(file: Path, subjects: Sequence[tuple[str, Subject]]) -> None:
    """Writes a picture of the runs' losses by steps; a line names each that has none.

    Args:
        file: a PNG file.
        subjects: runs or packages, with their names.

    Raises:
        TrainingError: none of them has a learning curve, or the file cannot be written.
    """
    curves = [(name, subject.curve()) for name, subject in subjects]
    drawn = [(name, curve) for name, curve in curves if curve is not None]
    if not drawn:
        raise TrainingError("--curves: none of these is a run whose metrics.jsonl has the loss of every epoch")
    if missing := [name for name, curve in curves if curve is None]:
        say(f"without a learning curve: {', '.join(missing)}")
    try:
        write_whole(file, to_png(learning_curves(drawn)))
    except OSError as exc:
        raise TrainingError(f"{file}: cannot be written: {exc.strerror}") from exc
    say(f"learning curves written to {file}")


def epoch_text(exported: int | None, done: int | None) -> str:
    """Returns the epoch that was exported of those that were done, as "87 of 120"; "-" if they are not known."""
    return "-" if exported is None or done is None else f"{exported} of {done}"
