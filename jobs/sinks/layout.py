"""What a file says of itself: shape, type, fingerprint, representation, seed."""

import json
from collections.abc import Sequence

from jobs.engine.answers import OUTPUT, written_axes
from jobs.settings import JobSettings, ModelFacts
from vaeserve.rows.noise import ALGORITHM

ROW, SOURCE, SOURCE_ROW, ERROR = "row", "source", "source_row", "error"
"""Columns that every file of rows has beside its answers."""
_OWN = (ROW, SOURCE, SOURCE_ROW, ERROR)


def metadata(settings: JobSettings, model: ModelFacts, classes: Sequence[str] = ()) -> dict[str, str]:
    """Returns the key-value pairs that every file of a job holds, all texts. No time is among them.

    Args:
        settings: the job's.
        model: of the rows of one file, or of many sizes for what all files have in common.
        classes: of the pictures; empty: there are none.
    """
    answers = {
        name: {"dtype": settings.dtype if dtype == "float32" else dtype, "shape": list(axes)}
        for name, (dtype, axes) in written_axes(settings, model).items()
    }
    pairs = {
        "vaeserve.job": settings.verb,
        "vaeserve.model": f"{model.name} {model.version}",
        "vaeserve.fingerprint": model.fingerprint,
        "vaeserve.representation": settings.output,
        "vaeserve.answers": json.dumps(answers, separators=(",", ":")),
    }
    if model.scaling is not None:
        pairs["vaeserve.scaling"] = model.scaling.model_dump_json()
    if classes:
        pairs["vaeserve.classes"] = json.dumps(classes, ensure_ascii=False)
    if settings.is_drawn:
        pairs |= {"vaeserve.seed": str(settings.seed), "vaeserve.noise": ALGORITHM}
    if settings.verb == "sample":
        pairs |= {"vaeserve.prior": settings.prior, "vaeserve.temperature": repr(settings.temperature or 1.0)}
    return pairs


def table_columns(model: ModelFacts) -> tuple[str, ...]:
    """Returns what the columns of decoded rows are called, if the model has rows of a table; else nothing.

    A column whose name a file needs for itself, such as `row`, is called `data.row`.
    """
    if model.data.kind != "table":
        return ()
    names = model.data.columns or tuple(f"column_{place}" for place in range(model.data.value_count))
    return tuple(f"data.{name}" if name in _OWN else name for name in names)


def file_columns(settings: JobSettings, model: ModelFacts) -> set[str]:
    """Returns the names of the columns that a table of answers has, without those that are kept of its source."""
    answers = set(written_axes(settings, model))
    return {*_OWN, *answers, *(table_columns(model) if OUTPUT in answers else ())}
