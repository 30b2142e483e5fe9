"""What a table model does, column by column."""

from collections.abc import Sequence
from math import floor, log10
from typing import NamedTuple

import numpy as np

from training.card.charts import heat, histograms
from training.card.dimensions import Dimensions, deviations, moved
from training.card.markdown import cell
from training.card.picture import Picture
from training.evaluate.rows import Array32, Array64, DataArray, EvaluationRows, evenly
from training.evaluate.served import ServedPair

_ROWS = 2000  # held out, and as many samples of each prior
_PANELS = 25  # columns with a histogram of their own
_HEAT = 40  # columns, or dimensions, that a matrix shows legibly
_LISTED = 60  # columns in the table of figures
_SEED = 0


class Column(NamedTuple):
    """Figures of one column, missing values left out."""

    name: str
    data: tuple[float, float]
    """Mean and standard deviation of held-out rows."""
    samples: tuple[float, float]
    """Those of what the standard prior's draws decode to."""
    explained: float | None
    """R^2 of the reconstruction; None where the column does not vary."""


def names_of(pair: ServedPair) -> list[str]:
    """Returns the columns' names, or their numbers where they have none."""
    return list(pair.data.columns) or [str(number) for number in range(pair.data.size)]


def columns_of(pair: ServedPair, rows: EvaluationRows, names: list[str]) -> list[Column]:
    """Returns what is to be said of each column."""
    data = rows.test[evenly(len(rows.test), _ROWS)]
    again = pair.expectation(pair.encode(data).mean)
    drawn = pair.expectation(pair.draw_prior(pair.priors[0], _SEED, _ROWS))
    explained = _explained(data, again)
    return [
        Column(name, _moments(data[:, place]), _moments(drawn[:, place]), explained[place])
        for place, name in enumerate(names)
    ]


def table_pictures(pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, names: list[str]) -> list[Picture]:
    """Returns histograms of data and samples, correlations of both, and what each dimension moves."""
    data = rows.test[evenly(len(rows.test), _ROWS)]
    drawn = {name: pair.expectation(pair.draw_prior(name, _SEED, _ROWS)) for name in pair.priors}
    found = [_histograms(data, drawn, names)]
    if len(names) > 1:
        found.append(_correlations(data, drawn, names))
    found.append(_traversals(pair, rows, dimensions, names))
    return found


def _histograms(data: DataArray, drawn: dict[str, Array32], names: list[str]) -> Picture:
    shown = names[:_PANELS]
    present = [_present(data[:, place]) for place in range(len(shown))]
    samples = {prior: [_present(rows[:, place]) for place in range(len(shown))] for prior, rows in drawn.items()}
    left_out = f" The first {len(shown)} of {len(names)} columns." if len(shown) < len(names) else ""
    caption = (
        "Held-out rows, and what draws from the prior decode to: expectations, without the likelihood's own noise, and "
        f"so narrower than the data.{left_out}"
    )
    return Picture("Samples", "samples.png", histograms(shown, present, samples), caption)


def _correlations(data: DataArray, drawn: dict[str, Array32], names: list[str]) -> Picture:
    shown = names[:_HEAT]
    panels = [("held-out data", _correlation(data[:, : len(shown)]))]
    panels += [
        (f"samples, prior {prior}", _correlation(rows[:, : len(shown)])) for prior, rows in list(drawn.items())[:2]
    ]
    caption = (
        "Correlations between columns. Those of samples are the stronger, since expectations leave out what columns do "
        "not share."
    )
    return Picture("Correlations", "correlations.png", heat(panels, shown, shown, "correlation"), caption)


def _traversals(pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, names: list[str]) -> Picture:
    """Returns how far each column goes as a dimension goes from -1 to 1, in the column's own deviations."""
    shown, moving = names[:_HEAT], dimensions.order[: min(dimensions.telling, _HEAT)]
    latents = pair.encode(rows.test[evenly(len(rows.test), 256)]).mean
    scale = deviations(rows.train)[: len(shown)]
    steps = []
    for dimension in moving:
        high, low = (pair.expectation(moved(latents, dimension, to))[:, : len(shown)] for to in (1.0, -1.0))
        steps.append((high.astype(np.float64) - low).mean(0) / scale)
    lines = [dimensions.label(dimension) for dimension in moving]
    caption = (
        "How far each column goes, in its own standard deviations, as one latent dimension goes from "
        "\N{MINUS SIGN}1 to 1: a mean over held-out rows, the other dimensions as encoded. Those that tell most first."
    )
    matrix = heat([("", np.stack(steps))], lines, shown, "standard deviations")
    return Picture("Traversals", "traversals.png", matrix, caption)


def _present(values: DataArray) -> Array64:
    wide: Array64 = values[np.isfinite(values)].astype(np.float64)
    return wide if wide.size else np.zeros(1)


def _moments(values: DataArray) -> tuple[float, float]:
    present = _present(values)
    return float(present.mean()), float(present.std())


def _explained(data: DataArray, again: Array32) -> list[float | None]:
    known = np.ma.masked_invalid(data.astype(np.float64))
    errors, variances = ((known - again) ** 2).mean(0).filled(0), known.var(0).filled(0)
    return [
        float(1 - error / variance) if variance > 0 else None for error, variance in zip(errors, variances, strict=True)
    ]


def _correlation(rows: DataArray) -> Array64:
    """Returns correlations between columns; 0 where one does not vary, missing values taken as the column's mean."""
    known = np.ma.masked_invalid(rows.astype(np.float64))
    centred = (known - known.mean(0)).filled(0)
    length = np.sqrt((centred**2).sum(0))
    unit: Array64 = centred / np.where(length > 0, length, 1.0)
    return unit.T @ unit


def columns_table(columns: Sequence[Column]) -> str:
    """Returns the columns' figures as a section of Markdown."""
    lines = "\n".join(_column_line(column) for column in columns[:_LISTED])
    rest = f"\n\nThe first {_LISTED} of {len(columns)} columns." if len(columns) > _LISTED else ""
    return f"""### Columns

Mean (standard deviation), in the data's own units, of held-out rows and of what draws from the
standard prior decode to. R^2 is the share of a column's variance that its reconstruction explains.

| column | held-out data | samples | R^2 |
| --- | ---: | ---: | ---: |
{lines}{rest}"""


def _column_line(column: Column) -> str:
    spread = column.data[1] or column.samples[1]
    digits = min(8, max(0, 2 - floor(log10(spread)))) if spread else 2
    data, samples = (f"{mean:.{digits}f} ({deviation:.{digits}f})" for mean, deviation in (column.data, column.samples))
    explained = "-" if column.explained is None else f"{column.explained:.2f}"
    return f"| {cell(column.name)} | {data} | {samples} | {explained} |"
