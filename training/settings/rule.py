"""The rule for pictures: settings that follow from the size, the values and the number of pictures.

docs/training.md ("Pictures") has the same rule as a table. The choice depends on the data and on the number of cores
alone, never on a measured time, because the same settings are to give the same bits.
"""

from collections.abc import Collection
from math import log2, prod
from typing import NamedTuple

from training.models import MODELS
from training.settings.config import Config

MOST_VALIDATION_ROWS = 1000
LEAST_VALIDATION_ROWS = 16  # fewer say nothing about which epoch is better
LEAST_LATENTS, MOST_LATENTS = 8, 512
VALUES_OF_A_LATENT, ROWS_OF_A_LATENT = 5, 8
LEAST_WIDTH, MOST_WIDTH = 16, 128
WIDTH_TIMES_SIDE = 512  # of a level: each costs the same, because a coarser one has more channels
SMALLEST_SIDE = 4  # of the last level
LEARNING_RATE = 1e-3
SMALL_SET, SMALL_BATCH, BATCH = 2000, 32, 64
OPERATIONS = 1e14  # of a run's gradient steps: 20 minutes at 80 GFLOP/s, which one core did
LEAST_STEPS, MOST_STEPS, MOST_PASSES = 300, 20_000, 60
CHECKPOINT_STEPS = 200
MOST_THREADS = 4
MOST_COMPONENTS = 10
WITH_A_DEVIATION = ("gaussian", "logistic", "logistic-mixture")
EVALUATED = {"evaluation_rows": 200, "evaluation_samples": 100}


class PictureSet(NamedTuple):
    """What the rule asks about the data."""

    shape: tuple[int, ...]
    """Of a picture: height, width, channels."""
    has_levels: bool
    """Whether values are the 256 levels of a byte."""
    is_binary: bool
    """Whether each value is drawn as on or off."""
    is_symmetric: bool
    """Whether mirrored pictures look like the others."""
    rows: int
    """To train on, without those to validate on."""
    cores: int


class Choice(NamedTuple):
    """What the rule chose."""

    config: Config
    lines: tuple[str, ...]
    """What it chose and why, for people."""


def validation_rows(rows: int) -> int:
    """Returns how many of the training rows to validate on: a tenth, or none of a small set."""
    tenth = min(MOST_VALIDATION_ROWS, rows // 10)
    return tenth if tenth >= LEAST_VALIDATION_ROWS else 0


def choose(pictures: PictureSet, config: Config, given: Collection[str]) -> Choice:
    """Returns a run's settings: those that the user gave, and the rest, which follows from these and the data.

    Args:
        pictures: the data.
        config: the settings, of which the user's count.
        given: names of the settings that the user gave.
    """
    fixed = {*given, *MODELS[config.model].fixed}
    has_length = bool({"epochs", "steps"} & fixed)

    def chosen(config: Config, **values: object) -> Config:
        return config.model_copy(update={key: value for key, value in values.items() if key not in fixed})

    config = chosen(
        config,
        likelihood=_likelihood_of(pictures, config.model),
        latent_size=latents_of(pictures),
        hidden_sizes=widths_of(pictures.shape),
        blocks=1,
        batch_size=BATCH if pictures.rows >= SMALL_SET else SMALL_BATCH,
        learning_rate=LEARNING_RATE,
        threads=max(1, min(MOST_THREADS, pictures.cores)),
        mirror=pictures.is_symmetric,
        **EVALUATED,
    )
    config = chosen(
        config,
        network="pca-conv" if _begins_as_pca(pictures, config) else "conv",
        mixture_components=max(1, min(MOST_COMPONENTS, pictures.rows // (4 * config.latent_size))),
    )
    config = chosen(config, kl_warmup=0.0 if config.network == "pca-conv" else 0.1)
    config = chosen(config, checkpoint_epochs=max(1, CHECKPOINT_STEPS * config.batch_size // max(1, pictures.rows)))
    if not has_length:
        config = config.model_copy(update={"steps": steps_of(pictures, config)})
    return Choice(config, _lines(pictures, config))


def latents_of(pictures: PictureSet) -> int:
    """Returns the size of the latent: a fifth of a picture's values or an eighth of the rows, as a power of two."""
    room = min(prod(pictures.shape) / VALUES_OF_A_LATENT, pictures.rows / ROWS_OF_A_LATENT)
    return int(max(LEAST_LATENTS, min(MOST_LATENTS, 2 ** round(log2(max(1.0, room))))))


def widths_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns a convolution's widths, a level for each halving down to SMALLEST_SIDE pixels."""
    height, width, _ = shape
    levels = max(1, int(log2(max(2, min(height, width) / SMALLEST_SIDE))))
    side = (height * width) ** 0.5
    return tuple(_width(side / 2**level) for level in range(1, levels + 1))


def steps_of(pictures: PictureSet, config: Config) -> int:
    """Returns the number of steps that OPERATIONS allow, in not more than MOST_PASSES passes over the rows.

    Mirrored rows count as more rows.
    """
    batch = min(config.batch_size, pictures.rows)
    operations = 6 * batch * products_of(pictures.shape, config.hidden_sizes) * MODELS[config.model].step_cost
    passes = MOST_PASSES * (1 + config.mirror) * (pictures.rows // batch)
    return int(max(LEAST_STEPS, min(MOST_STEPS, passes, OPERATIONS / operations)))


def products_of(shape: tuple[int, ...], widths: tuple[int, ...]) -> float:
    """Returns about how many products both networks compute for a picture: those of 3 x 3 convolutions."""
    height, width, channels = shape
    pixels, total, before = height * width, 1.0 * prod(shape), channels
    for level, channels_here in enumerate(widths, 1):
        total += 9 * pixels / 4**level * channels_here * (6 * channels_here + before)
        before = channels_here
    return total


def _likelihood_of(pictures: PictureSet, model: str) -> str | None:
    """Returns the kind's family, or that of the 256 levels of a byte; None: the data's default."""
    if (family := MODELS[model].picture_likelihood) is not None:
        return family
    if not pictures.has_levels or pictures.is_binary:
        return None
    return "logistic-mixture" if pictures.shape[-1] > 1 else "logistic"


def _begins_as_pca(pictures: PictureSet, config: Config) -> bool:
    """Whether the network can begin as probabilistic PCA, and the kind gains by it."""
    has_deviation = not pictures.is_binary and config.likelihood in (None, *WITH_A_DEVIATION)
    return MODELS[config.model].begins_as_pca and has_deviation


def _width(side: float) -> int:
    return int(max(LEAST_WIDTH, min(MOST_WIDTH, 2 ** round(log2(WIDTH_TIMES_SIDE / side)))))


def _lines(pictures: PictureSet, config: Config) -> tuple[str, ...]:
    """Returns what was chosen and why."""
    size = " x ".join(map(str, pictures.shape))
    widths = "" if config.network == "linear" else f" {'-'.join(map(str, config.hidden_sizes))}"
    likelihood = config.likelihood or "the default"
    length = f"{config.epochs} epochs" if config.steps is None else f"{config.steps:,} steps"
    lines = (
        f"chosen for {pictures.rows:,} pictures of {size} values (docs/training.md, Pictures; flags override):",
        f"  {config.latent_size} latent values, {config.network}{widths}, likelihood {likelihood}",
        f"  {length} of {config.batch_size} rows, learning rate {config.learning_rate:g}, {config.threads} threads",
    )
    if "steps" not in MODELS[config.model].uses:
        return lines[:-1]
    mirror = "  each picture also mirrored left to right, because mirrored ones look as likely (--no-mirror: never)"
    return (*lines, mirror) if pictures.is_symmetric else lines
