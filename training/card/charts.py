"""Charts drawn by matplotlib. Equal numbers give equal pixels, whatever matplotlib's settings on this machine are."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from training.evaluate.rows import Array64
from vaeserve.rows.images import Pixels

_DPI = 100
_WIDTH = 8.6  # inches
_STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.5",
    "text.parse_math": False,  # a column may be named $a$
    "xtick.color": "0.35",
    "ytick.color": "0.35",
}
_DRAWS = "0.80"  # grey
_ACCENT = "#2f6f9f"
_SECOND = "#c9622b"
_MASSES = (0.5, 0.9, 0.99)  # probability of N(0, I) inside each circle of a map
MOST_CLASSES = 20  # maximum number of classes with colours of their own
_DARK = ("#1a1a1a", "#00594d")  # replaces the greys among matplotlib's colours, because grey means the prior


class Cloud(NamedTuple):
    """Points of a map."""

    name: str
    points: Array64  # [points, 2]


class Map(NamedTuple):
    """Latents of rows in a plane, and draws from each prior."""

    rows: Array64  # [rows, 2]
    labels: npt.NDArray[np.int64] | None  # [rows]
    priors: list[Cloud]
    axes: tuple[str, str]
    names: tuple[str, ...] = ()
    """Names of the classes 0, 1, ...; empty if the data has only numbers."""


def latent_map(plane: Map) -> Pixels:
    """Returns one panel for each prior: rows over its draws. Circles contain 50, 90 and 99 % of N(0, I)."""
    classes = coloured_classes(plane.labels)
    width, height = (_WIDTH, 3.7) if len(plane.priors) > 1 else (6.2, 5.0)
    with _figure(width, max(height, 0.22 * len(classes) + 0.6)) as (figure, pixels):
        panels = figure.subplots(1, len(plane.priors), squeeze=False)[0]
        everything = np.concatenate([plane.rows, *(prior.points for prior in plane.priors)])
        reach = max(3.4, float(np.quantile(np.abs(everything), 0.999)) * 1.05)
        for axes, prior in zip(panels, plane.priors, strict=True):
            axes.scatter(
                prior.points[:, 0], prior.points[:, 1], s=7, color=_DRAWS, linewidths=0, label="draws from the prior"
            )
            if prior.name == "standard":
                _circles(axes)
            _rows(axes, plane, classes)
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=f"prior {prior.name}")
            axes.set_xlabel(plane.axes[0])
        panels[0].set_ylabel(plane.axes[1])
        _legend(figure, panels[-1])
    return pixels[0]


def _circles(axes: Axes) -> None:
    angles = np.linspace(0, 2 * np.pi, 200)
    for mass in _MASSES:
        radius = np.sqrt(-2 * np.log(1 - mass))
        axes.plot(radius * np.cos(angles), radius * np.sin(angles), color="0.55", linewidth=0.8, zorder=1.5)


def coloured_classes(labels: npt.NDArray[np.int64] | None) -> list[int]:
    """Returns the classes that a map colours; none if there is only one, or more than MOST_CLASSES."""
    classes = [] if labels is None else np.unique(labels).tolist()
    return classes if 2 <= len(classes) <= MOST_CLASSES else []


def _rows(axes: Axes, plane: Map, classes: list[int]) -> None:
    x, y = plane.rows.T
    if plane.labels is None or not classes:
        axes.scatter(x, y, s=9, color=_ACCENT, alpha=0.75, linewidths=0, label="held-out rows")
        return
    colours = _colours()
    # One call draws all rows in their own order. Drawn class by class, the last class would hide the others.
    places = np.searchsorted(classes, plane.labels)
    axes.scatter(x, y, s=9, color=[colours[place] for place in places], alpha=0.75, linewidths=0)
    for colour, label in zip(colours, classes, strict=False):
        name = plane.names[label] if plane.names else str(label)
        axes.scatter([], [], color=colour, label=shortened(name, 16), s=22)


def _colours() -> list[str]:
    """Returns 20 colours, strong ones first."""
    pairs = [to_hex(colour) for colour in mpl.color_sequences["tab20"]]
    strong, light = pairs[::2], pairs[1::2]
    strong[7], light[7] = _DARK
    return strong + light


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, markerscale=1.4, handletextpad=0.3)


def weights_chart(values: Array64, names: list[str], informative: int, unit: str) -> Pixels:
    """Returns one bar for each dimension, in the order given; dimensions beyond the informative ones are grey."""
    with _figure(_WIDTH, 2.3) as (figure, pixels):
        axes = figure.subplots()
        colours = [_ACCENT if place < informative else "0.75" for place in range(len(values))]
        axes.bar(range(len(values)), values, color=colours, width=0.8)
        every = max(1, -(-len(values) // 40))
        axes.set_xticks(range(0, len(values), every), names[::every], rotation=90 if len(values) > 20 else 0)
        axes.set(ylabel=unit, xlim=(-0.6, len(values) - 0.4))
    return pixels[0]


class ChartLine(NamedTuple):
    """A line of a chart."""

    name: str
    points: tuple[tuple[float, float], ...]
    """(x, y), in order of x."""
    mark: tuple[float, float] | None = None
    """A point of it that is marked."""


def line_chart(lines: Sequence[ChartLine], x: str, y: str, mark: str) -> Pixels:
    """Returns lines over one another. What lies far above the rest, as the first steps of a run do, is cut off.

    Args:
        lines: at least one, each of another colour.
        x: title of the axis.
        y: title of the axis.
        mark: what the marks mean.
    """
    with _figure(_WIDTH, 3.4) as (figure, pixels):
        axes = figure.subplots()
        colours = (_ACCENT, _SECOND) if len(lines) <= 2 else _colours()
        for line, colour in zip(lines, cycle(colours), strict=False):
            xs, ys = zip(*line.points, strict=True)
            axes.plot(xs, ys, color=colour, linewidth=1.4, label=shortened(line.name, 40))
            if line.mark is not None:
                axes.plot(*line.mark, "o", color=colour, markersize=6, markeredgecolor="white")
                axes.axvline(line.mark[0], color=colour, linewidth=0.8, linestyle=":")
        if any(line.mark for line in lines):
            axes.plot([], [], "o", color="0.35", markersize=6, markeredgecolor="white", label=mark)
        axes.set(xlabel=x, ylabel=y, ylim=_range_of(lines))
        _legend(figure, axes)
    return pixels[0]


def _range_of(lines: Sequence[ChartLine]) -> tuple[float, float]:
    """Returns what is shown of the lines: all but what lies above the highest of each line's last nine tenths."""
    low = min(y for line in lines for _, y in line.points)
    high = max(y for line in lines for _, y in line.points[len(line.points) // 10 :])
    room = 0.05 * (high - low) or 1.0
    return low - room, high + 2 * room


def histograms(names: list[str], data: list[Array64], drawn: dict[str, list[Array64]]) -> Pixels:
    """Returns one panel for each column: data as a filled histogram, samples of each prior as a line over it."""
    across = min(5, len(names))
    down = -(-len(names) // across)
    with _figure(_WIDTH, 1.55 * down + 0.5) as (figure, pixels):
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        for axes, name, column, *others in zip(panels, names, data, *drawn.values(), strict=False):
            low, high = np.quantile(np.concatenate([column, others[0]]), (0.005, 0.995))
            edges = np.linspace(low, high if high > low else low + 1, 31)
            axes.hist(column, edges, density=True, color="0.8", label="held-out data")
            for prior, values, colour in zip(drawn, others, (_ACCENT, _SECOND, "0.2"), strict=False):
                axes.hist(values, edges, density=True, histtype="step", color=colour, label=f"samples, prior {prior}")
            axes.set_title(shortened(name, 20), fontsize=9)
            axes.set_yticks([])
            axes.tick_params(labelsize=7.5)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return pixels[0]


def heat(panels: list[tuple[str, Array64]], lines: list[str], columns: list[str], unit: str) -> Pixels:
    """Returns matrices [lines, columns] side by side; red is above zero, blue below."""
    height = min(9.0, 1.6 + 0.2 * len(lines))
    with _figure(_WIDTH, height) as (figure, pixels):
        most = max(float(np.abs(values).max(initial=0)) for _, values in panels) or 1.0
        every = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, values) in zip(every, panels, strict=True):
            image = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
            axes.set_title(title)
            axes.set_xticks(range(len(columns)), [shortened(name, 16) for name in columns], rotation=90, fontsize=7.5)
            axes.set_yticks(range(len(lines)), [shortened(name, 24) for name in lines], fontsize=7.5)
        figure.colorbar(image, ax=list(every), label=unit, fraction=0.03, pad=0.02)
    return pixels[0]


def shortened(text: str, characters: int) -> str:
    """Returns a text, cut to a maximum number of characters."""
    return text if len(text) <= characters else f"{text[: characters - 1]}\N{HORIZONTAL ELLIPSIS}"


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, list[Pixels]]]:
    """Yields an empty figure, sized in inches, and a list that receives its pixels when the block ends."""
    pixels: list[Pixels] = []
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names may have characters that the font lacks
        figure = Figure((width, height), dpi=_DPI, layout="constrained")
        yield figure, pixels
        file = io.BytesIO()
        figure.savefig(file, format="png")
        with Image.open(file) as image:
            pixels.append(np.asarray(image.convert("RGB")))
