"""The rule for pictures, asked about a run's data."""

from collections.abc import Callable, Collection

from training.data import Dataset
from training.models import MODELS
from training.run.progress import say
from training.settings.config import Config
from training.settings.rule import PictureSet, choose, validation_rows
from training.symmetry import looks_symmetric
from vaeserve.errors import TrainingError
from vaeserve.machine.cpus import available_cpus


def validation_rule(config: Config, given: Collection[str]) -> Callable[[int], int] | None:
    """Returns what chooses the number of rows to validate on; None where the settings say it."""
    return validation_rows if config.rule == "pictures" and "validation_rows" not in given else None


def ruled(config: Config, dataset: Dataset, given: Collection[str]) -> Config:
    """Returns a run's settings with what the rule chooses, and prints it; unchanged where there is no rule.

    Args:
        config: the run's settings.
        dataset: its data, split.
        given: names of the settings that a file or a flag sets.

    Raises:
        TrainingError: rows that are not pictures are to be mirrored.
    """
    spec = dataset.spec
    if config.mirror and spec.kind != "image":
        raise TrainingError(f"--mirror: is for pictures, not for {dataset.name}")
    if config.rule != "pictures" or spec.kind != "image":
        return config
    may_mirror = "mirror" not in given and "mirror" in MODELS[config.model].uses
    pictures = PictureSet(
        shape=spec.shape,
        has_levels=(spec.dtype, spec.minimum, spec.maximum) == ("uint8", 0, 255),
        is_binary=dataset.binarised,
        is_symmetric=may_mirror and looks_symmetric(dataset.train),
        rows=len(dataset.train),
        cores=available_cpus(),
    )
    chosen, lines = choose(pictures, config, given)
    say("\n".join(lines))
    return chosen.model_copy(update={"validation_rows": dataset.drawn_validation_rows})
