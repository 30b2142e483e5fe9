"""Pictures of an image model: its own images."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.card.dimensions import Dimensions, between, traversals
from training.card.picture import Picture
from training.card.sheet import Block, fitted, sheet
from training.card.tiles import Layout, cells, layout
from training.evaluate.rows import DataArray, EvaluationRows
from training.evaluate.served import ServedPair
from vaeserve.rows.codes import latents_of
from vaeserve.rows.images import Pixels

SEED = 0  # seed of the draws from each prior: `vae sample --seed 0` gives the same
_PAIRS = 3  # lines of held-out images and their reconstructions
_SAMPLE_LINES = 6
_DIMENSIONS = 8  # maximum number of dimensions in traversals
_STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_SIGNED = tuple(f"{step:+.0f}".replace("+0", "0").replace("-", "\N{MINUS SIGN}") for step in _STEPS)
_RANGE = "\N{MINUS SIGN}3 to 3"
_PLANE = 13  # latents along each side of a plane of latents
_LINES = 6  # interpolations, each between two held-out images

RowNumbers = npt.NDArray[np.intp]


def image_pictures(
    pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, names: tuple[str, ...] = ()
) -> list[Picture]:
    """Returns reconstructions, samples, traversals and interpolations. `names` belong to the classes 0, 1, ..."""
    room = layout(pair.data)
    return [
        reconstructions(pair, rows, room, names),
        samples(pair, room),
        traversed(pair, rows, dimensions, room),
        interpolations(pair, rows, room),
    ]


def reconstructions(pair: ServedPair, rows: EvaluationRows, room: Layout, names: tuple[str, ...] = ()) -> Picture:
    """Returns lines of held-out images, each above its reconstructions; each class has a column if all fit."""
    labels = None if rows.test_labels is None else np.asarray(rows.test_labels)
    classes = [] if labels is None else np.unique(labels).tolist()
    lines = max(1, min(_PAIRS, room.lines // 2))
    if labels is not None and 2 <= len(classes) <= room.columns:
        chosen = _of_each_class(labels, classes, lines)
        which = f"The first {lines} held-out images of each class" if lines > 1 else "One held-out image of each class"
    else:
        columns = min(room.columns, len(rows.test))
        lines = min(lines, len(rows.test) // columns)
        chosen, classes = _spread(len(rows.test), lines * columns).reshape(lines, columns), []
        which = "Held-out images, evenly spaced in the data"
    data = rows.test[chosen.ravel()]
    again = pair.expectation(pair.encode(data).mean)
    shape = (*chosen.shape, *_cell_shape(pair))
    pairs = np.stack([cells(data, pair.data).reshape(shape), cells(again, pair.data).reshape(shape)], axis=1)
    block = Block(
        pairs.reshape(-1, *shape[1:]),
        line_labels=("data", "reconstructed") * lines,
        column_labels=tuple(fitted(names[label] if names else str(label), shape[-2]) for label in classes),
        new_lines=tuple(range(2, 2 * lines, 2)),
    )
    of = "posterior mean" if pair.posterior == "gaussian" else "code"
    caption = f"{which}. Below each image is its reconstruction, decoded from the {of}."
    return Picture("Reconstructions", "reconstructions.png", sheet([block]), caption)


def samples(pair: ServedPair, room: Layout) -> Picture:
    """Returns a block of decoded draws from each prior."""
    lines = max(2, min(_SAMPLE_LINES, room.lines // len(pair.priors)))
    blocks = []
    for name in pair.priors:
        drawn = pair.expectation(pair.draw_prior(name, SEED, lines * room.columns))
        tiles = cells(drawn, pair.data).reshape(lines, room.columns, *_cell_shape(pair))
        blocks.append(Block(tiles, heading=f"prior {name}"))
    caption = (
        f"Expectations decoded from draws of each prior. They are the first rows of seed {SEED}, and none is left out: "
        f"`vae sample --expectation --seed {SEED}` draws the same."
    )
    return Picture("Samples", "samples.png", sheet(blocks), caption)


def traversed(pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, room: Layout) -> Picture:
    """Returns one line for each of the most informative dimensions, which moves from -3 to 3.

    The other dimensions stay at the origin on the left, and at a held-out row on the right.
    """
    if pair.latent_size == 2:
        return _both(pair, room)
    selected = dimensions.order[: max(1, min(_DIMENSIONS, dimensions.informative, room.lines))]
    starts = [np.zeros(pair.latent_size, np.float32), pair.encode(rows.test[:1]).mean[0]]
    groups = 2 if 2 * len(_STEPS) <= room.columns + 2 else 1
    steps, labels, path = _path(pair)
    moved = np.concatenate([traversals(pair, start, selected, steps) for start in starts[-groups:]], axis=1)
    block = Block(
        cells(moved.reshape(-1, *pair.data.shape), pair.data).reshape(*moved.shape[:2], *_cell_shape(pair)),
        line_labels=tuple(dimensions.label(dimension) for dimension in selected),
        column_labels=labels * groups,
        new_columns=(len(steps),) if groups == 2 else (),
    )
    measure = "KL" if dimensions.unit == "nats" else "their share of the output's variance"
    image = "the first held-out image"
    where = f"the origin (left) and from {image} (right)" if groups == 2 else image
    caption = (
        f"Each line moves one latent dimension from {path}, starting from {where}; the other dimensions stay. Shown "
        f"are the {len(selected)} most informative of {pair.latent_size} dimensions by {measure}."
    )
    return Picture("Traversals", "traversals.png", sheet([block]), caption)


class _Path(NamedTuple):
    """What a dimension moves through."""

    steps: tuple[float, ...]
    labels: tuple[str, ...]
    words: str


def _path(pair: ServedPair) -> _Path:
    """Returns what a dimension moves through: standard deviations of N(0, 1), or levels."""
    if not pair.levels:
        return _Path(_STEPS, _SIGNED, f"{_RANGE} standard deviations of N(0, 1)")
    fewest = min(pair.levels)
    codes = np.unique(np.linspace(0, fewest - 1, min(fewest, len(_STEPS))).round())
    steps = latents_of(codes[:, np.newaxis], (fewest,))[:, 0]
    labels = tuple(f"{code:.0f}" for code in codes)
    return _Path(tuple(steps.tolist()), labels, f"code {labels[0]} to code {labels[-1]}")


def _both(pair: ServedPair, room: Layout) -> Picture:
    """Returns a decoded plane of latents."""
    count = min(room.columns, room.lines, _PLANE)
    path = _path(pair).steps
    steps = np.linspace(path[0], path[-1], count, dtype=np.float32)
    across, up = np.meshgrid(steps, steps[::-1])
    decoded = pair.expectation(np.stack([across.ravel(), up.ravel()], axis=1))
    block = Block(cells(decoded, pair.data).reshape(count, count, *_cell_shape(pair)))
    caption = (
        f"The decoded plane of latents. z0 goes from {_path(pair).words} from left to right, and z1 from bottom to top."
    )
    return Picture("Traversals", "traversals.png", sheet([block]), caption)


def interpolations(pair: ServedPair, rows: EvaluationRows, room: Layout) -> Picture:
    """Returns lines between latents of two held-out images, with the images themselves at the ends."""
    labels = None if rows.test_labels is None else np.asarray(rows.test_labels)
    starts, ends = _partners(labels, len(rows.test), max(1, min(_LINES, room.lines)))
    data = rows.test[starts], rows.test[ends]
    steps = max(3, min(room.columns, 13) - 2)
    shape = _cell_shape(pair)
    path = between(pair, pair.encode(data[0]).mean, pair.encode(data[1]).mean, steps)
    middle = cells(path.reshape(-1, *pair.data.shape), pair.data).reshape(len(starts), steps, *shape)
    first, last = (cells(part, pair.data)[:, np.newaxis] for part in data)
    block = Block(
        np.concatenate([first, middle, last], axis=1),
        column_labels=("data", *[""] * steps, "data"),
        new_columns=(1, steps + 1),
    )
    caption = (
        "Each line goes straight from the latent of one held-out image to that of another, in even steps, both ends "
        "included. The images themselves are on the left and right."
    )
    return Picture("Interpolations", "interpolations.png", sheet([block]), caption)


def _cell_shape(pair: ServedPair) -> tuple[int, ...]:
    zeros: DataArray = np.zeros((1, *pair.data.shape), pair.data.dtype)
    cell: Pixels = cells(zeros, pair.data)
    return cell.shape[1:]


def _of_each_class(labels: npt.NDArray[np.int64], classes: list[int], lines: int) -> RowNumbers:
    """Returns row numbers [lines, classes], the first of each class. A class with fewer rows repeats its last."""
    members = [np.flatnonzero(labels == label) for label in classes]
    return np.stack([rows[np.minimum(np.arange(lines), len(rows) - 1)] for rows in members], axis=1)


def _spread(rows: int, count: int) -> RowNumbers:
    return np.linspace(0, rows - 1, count).round().astype(np.intp)


def _partners(labels: npt.NDArray[np.int64] | None, rows: int, count: int) -> tuple[RowNumbers, RowNumbers]:
    """Returns the rows where lines start and end; both ends of a line differ in class if possible."""
    starts = _spread(rows, 2 * count)[::2]
    ends = []
    for number, start in enumerate(starts):
        candidates = np.roll(np.arange(rows), -(start + 1 + rows // 2 + number))
        other = candidates if labels is None else candidates[labels[candidates] != labels[start]]
        ends.append(other[0] if len(other) else candidates[0])
    return starts, np.array(ends, np.intp)
