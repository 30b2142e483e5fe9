"""Training on some classes alone: their numbers, and content without the others where a source itself is split."""

from difflib import get_close_matches

import numpy as np

from training.data.dataset import Dataset
from vaeserve.errors import TrainingError
from vaeserve.printable import printable
from vaeserve.sources.content import Content
from vaeserve.sources.names import quoted

_SHOWN = 8  # classes in a message


def numbers_of(content: Content, names: tuple[str, ...], name: str) -> tuple[int, ...]:
    """Returns the labels of the classes to train on; none: all.

    Args:
        content: the data.
        names: of the classes, or their numbers where they have no names.
        name: of the data, for errors.

    Raises:
        TrainingError: there is no such class, or no other; names the flag.
    """
    if not names:
        return ()
    if content.labels is None:
        raise TrainingError(f"--train-classes: {name} has no classes{_hint(content)}")
    labels = np.unique(content.labels).tolist()
    called = {content.classes[label] if content.classes else str(label): label for label in labels}
    for each in names:
        if each not in called:
            near = get_close_matches(each, called, n=1)
            listed = ", ".join(map(printable, [*called][:_SHOWN])) + ", ..." * (len(called) > _SHOWN)
            hint = f"did you mean {quoted(near[0])}?" if near else f"its classes are {listed}"
            raise TrainingError(f"--train-classes: {name} has no class {quoted(each)}; {hint}")
    if len(set(names)) == len(called):
        raise TrainingError(f"--train-classes: names every class of {name}, so that no row is an anomaly")
    return tuple(sorted(called[each] for each in set(names)))


def leave_out_others(content: Content, trained: tuple[int, ...], name: str) -> Content:
    """Returns content without what its source gives to train and to validate on of other classes.

    Those rows cannot become test rows, because the source itself says which these are. Other content is left as it is.
    """
    if not trained or not content.test_rows or content.labels is None:
        return content
    stays = np.isin(content.labels, trained)
    end = len(stays) - content.test_rows
    stays[end:] = True
    gone = int((~stays).sum())
    return content._replace(
        values=content.values[stays],
        labels=content.labels[stays],
        validation_rows=int(stays[end - content.validation_rows : end].sum()),
        notes=(*content.notes, f"{name}: {gone} rows to train on of other classes are left out"),
    )


def about_anomalies(dataset: Dataset) -> list[str]:
    """Returns a line that says what was trained on and how many test rows are anomalies; none without such."""
    if dataset.are_anomalies is None:
        return []
    called = [dataset.classes[label] if dataset.classes else str(label) for label in dataset.trained_classes]
    count = int(dataset.are_anomalies.sum())
    names = f"class{'es' * (len(called) > 1)} {', '.join(called)}"
    return [
        f"trained on {names} alone: {count} of {len(dataset.test)} test rows are of other classes, the anomalies",
    ]


def _hint(content: Content) -> str:
    return ": name their column by --target" if content.spec.kind == "table" and content.columns else ""
