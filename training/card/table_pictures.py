"""Pictures and figures of a table model, column by column."""

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

_ROWS = 2000  # maximum number of held-out rows; as many samples of each prior
_PANELS = 25  # maximum number of columns with a histogram
_HEAT = 40  # maximum number of columns or dimensions in a legible matrix
_LISTED = 60  # maximum number of columns in the table of figures
_SEED = 0


class Column(NamedTuple):
    """Figures of one column, without missing values."""

    name: str
    data: tuple[float, float]
    """Mean and standard deviation of held-out rows."""
    samples: tuple[float, float]
    """Mean and standard deviation of decoded draws from the standard prior."""
    explained: float | None
    """R^2 of the reconstruction; None if the column is constant."""


def names_of(pair: ServedPair) -> list[str]:
    """Returns the names of the columns, or their numbers if they have no names."""
    return list(pair.data.columns) or [str(number) for number in range(pair.data.value_count)]


def columns_of(pair: ServedPair, rows: EvaluationRows, names: list[str]) -> list[Column]:
    """Returns the figures of each column."""
    data = rows.test[evenly(len(rows.test), _ROWS)]
    again = pair.expectation(pair.encode(data).mean)
    drawn = pair.expectation(pair.draw_prior(pair.model_prior, _SEED, _ROWS))
    explained = _explained(data, again)
    return [
        Column(name, _moments(data[:, place]), _moments(drawn[:, place]), explained[place])
        for place, name in enumerate(names)
    ]


def table_pictures(pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, names: list[str]) -> list[Picture]:
    """Returns histograms of data and samples, correlations of both, and the effect of each dimension."""
    data = rows.test[evenly(len(rows.test), _ROWS)]
    drawn = {name: pair.expectation(pair.draw_prior(name, _SEED, _ROWS)) for name in pair.priors}
    pictures = [_histograms(data, drawn, names)]
    if len(names) > 1:
        pictures.append(_correlations(data, drawn, names))
    pictures.append(_traversals(pair, rows, dimensions, names))
    return pictures


def _histograms(data: DataArray, drawn: dict[str, Array32], names: list[str]) -> Picture:
    columns = names[:_PANELS]
    present = [_present(data[:, place]) for place in range(len(columns))]
    samples = {prior: [_present(rows[:, place]) for place in range(len(columns))] for prior, rows in drawn.items()}
    left_out = f" Shown are the first {len(columns)} of {len(names)} columns." if len(columns) < len(names) else ""
    caption = (
        "Held-out rows, and decoded draws from each prior. Samples are narrower than the data, because they are "
        f"expectations without the likelihood's noise.{left_out}"
    )
    return Picture("Samples", "samples.png", histograms(columns, present, samples), caption)


def _correlations(data: DataArray, drawn: dict[str, Array32], names: list[str]) -> Picture:
    columns = names[:_HEAT]
    panels = [("held-out data", _correlation(data[:, : len(columns)]))]
    panels += [
        (f"samples, prior {prior}", _correlation(rows[:, : len(columns)])) for prior, rows in list(drawn.items())[:2]
    ]
    caption = (
        "Correlations between columns. They are stronger in samples, because expectations leave out variation that "
        "columns do not share."
    )
    return Picture("Correlations", "correlations.png", heat(panels, columns, columns, "correlation"), caption)


def _traversals(pair: ServedPair, rows: EvaluationRows, dimensions: Dimensions, names: list[str]) -> Picture:
    """Returns the change of each column, in its standard deviations, as a dimension moves from -1 to 1."""
    columns, moving = names[:_HEAT], dimensions.order[: min(dimensions.informative, _HEAT)]
    latents = pair.encode(rows.test[evenly(len(rows.test), 256)]).mean
    scale = deviations(rows.train)[: len(columns)]
    steps = []
    for dimension in moving:
        high, low = (pair.expectation(moved(latents, dimension, to))[:, : len(columns)] for to in (1.0, -1.0))
        steps.append((high.astype(np.float64) - low).mean(0) / scale)
    lines = [dimensions.label(dimension) for dimension in moving]
    caption = (
        "Change of each column, in its own standard deviations, as one latent dimension moves from "
        "\N{MINUS SIGN}1 to 1. It is a mean over held-out rows, and the other dimensions stay as encoded. "
        "The most informative dimensions are first."
    )
    matrix = heat([("", np.stack(steps))], lines, columns, "standard deviations")
    return Picture("Traversals", "traversals.png", matrix, caption)


def _present(values: DataArray) -> Array64:
    wide: Array64 = values[np.isfinite(values)].astype(np.float64)
    return wide if wide.size else np.zeros(1)


def _moments(values: DataArray) -> tuple[float, float]:
    present = _present(values)
    return float(present.mean()), float(present.std())


def _explained(data: DataArray, again: Array32) -> list[float | None]:
    present = np.ma.masked_invalid(data.astype(np.float64))
    errors, variances = ((present - again) ** 2).mean(0).filled(0), present.var(0).filled(0)
    return [
        float(1 - error / variance) if variance > 0 else None for error, variance in zip(errors, variances, strict=True)
    ]


def _correlation(rows: DataArray) -> Array64:
    """Returns correlations between columns, 0 for a constant one. Missing values count as the mean of their column."""
    present = np.ma.masked_invalid(rows.astype(np.float64))
    centred = (present - present.mean(0)).filled(0)
    length = np.sqrt((centred**2).sum(0))
    unit: Array64 = centred / np.where(length > 0, length, 1.0)
    return unit.T @ unit


def columns_table(columns: Sequence[Column]) -> str:
    """Returns the figures of the columns as a section of Markdown."""
    lines = "\n".join(_column_line(column) for column in columns[:_LISTED])
    rest = f"\n\nShown are the first {_LISTED} of {len(columns)} columns." if len(columns) > _LISTED else ""
    return f"""### Columns

Mean (standard deviation) of held-out rows and of decoded draws from the standard prior, in units of
the data. R^2 is the share of a column's variance that its reconstruction explains.

| column | held-out data | samples | R^2 |
| --- | ---: | ---: | ---: |
{lines}{rest}"""


def _column_line(column: Column) -> str:
    spread = column.data[1] or column.samples[1]
    digits = min(8, max(0, 2 - floor(log10(spread)))) if spread else 2
    data, samples = (f"{mean:.{digits}f} ({deviation:.{digits}f})" for mean, deviation in (column.data, column.samples))
    explained = "-" if column.explained is None else f"{column.explained:.2f}"
    return f"| {cell(column.name)} | {data} | {samples} | {explained} |"
