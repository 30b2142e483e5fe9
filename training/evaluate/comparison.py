"""Several evaluations side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from training.evaluate.alarms import alarms
from training.evaluate.class_report import SCORES
from training.evaluate.evaluation import Evaluation
from training.evaluate.figure_text import number
from training.evaluate.figures import Drawn, PriorEvidence, prior_title
from vaeserve.package.manifest import STANDARD

WIDTH = 120  # columns that six models fit into
_BEST = "*"
_GAP = "  "

Ranking = Callable[[float], float]
"""Maps a value to a key; the lower key is better."""


def lower(value: float) -> float:
    """The lower the better."""
    return value


def higher(value: float) -> float:
    """The higher the better."""
    return -value


def near_one(value: float) -> float:
    """The nearer to 1 the better."""
    return abs(value - 1)


class Row(NamedTuple):
    """One figure of every model."""

    label: str
    cells: tuple[str, ...]
    best: frozenset[int]
    """Places of the best of them; none where no value is better than another."""


def comparison(evaluations: Sequence[tuple[str, Evaluation]], epochs: Sequence[str] = ()) -> str:
    """Returns a table for a terminal: a column a model, the best values marked, "-" where there is none.

    Args:
        evaluations: of each model, with its name.
        epochs: which epoch each model is of, as text; empty: no row says it.
    """
    rows = [*_epoch_row(epochs), *comparison_rows([evaluation for _, evaluation in evaluations])]
    labels = max(len(row.label) for row in rows)
    widest = max(len(cell) for row in rows for cell in row.cells)
    room = (WIDTH - labels) // len(evaluations) - len(_GAP + _BEST)
    width = max(widest, min(room, max(len(name) for name, _ in evaluations)))
    lines = [" " * labels + "".join(f"{_GAP}{_shortened(name, width):>{width}} " for name, _ in evaluations)]
    for row in rows:
        cells = (f"{_GAP}{cell:>{width}}{_BEST if place in row.best else ' '}" for place, cell in enumerate(row.cells))
        lines.append(f"{row.label:<{labels}}" + "".join(cells))
    return "\n".join([*(line.rstrip() for line in lines), *comparison_notes(evaluations, _BEST)])


def comparison_markdown(evaluations: Sequence[tuple[str, Evaluation]], epochs: Sequence[str] = ()) -> str:
    """Returns the same table in Markdown; the best values are bold."""
    lines = ["| | " + " | ".join(name for name, _ in evaluations) + " |", "| --- |" + " ---: |" * len(evaluations)]
    for row in (*_epoch_row(epochs), *comparison_rows([evaluation for _, evaluation in evaluations])):
        cells = (f"**{cell}**" if place in row.best else cell for place, cell in enumerate(row.cells))
        lines.append(f"| {row.label} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in comparison_notes(evaluations, "bold"))]) + "\n"


def _epoch_row(epochs: Sequence[str]) -> list[Row]:
    return [Row("exported epoch", tuple(epochs), frozenset())] if epochs else []


def comparison_rows(evaluations: Sequence[Evaluation]) -> Iterator[Row]:
    """Yields the figures, one by one; probabilities and densities, or those of two families, have no best."""
    metrics = [evaluation.metrics for evaluation in evaluations]
    likeliest = lower if len(families(evaluations)) < 2 else None

    def row(label: str, metric: str, key: Ranking | None = None, digits: int = 2) -> Row:
        return _row(label, [each.get(metric) for each in metrics], key, digits)

    yield _row("latent values", [each.latent_size for each in evaluations], None, digits=0)
    yield row("negative ELBO", "negative_elbo_nats", likeliest)
    yield row("-log p(x)", "nll_nats", likeliest)
    yield row("  standard error", "nll_standard_error_nats")
    if any((nll := each.likelihoods.nll) and nll.rows != each.rows for each in evaluations):
        yield row("  negative ELBO of its rows", "nll_negative_elbo_nats", likeliest)
    yield row("  bits per dimension", "nll_bits_per_dimension", likeliest, 3)
    if any(each.likelihoods.ppca_nats is not None for each in evaluations):
        yield row("  probabilistic PCA's", "ppca_bits_per_dimension", None, 3)
    yield row("rate (KL)", "kl_nats")
    yield row("distortion", "reconstruction_nats")
    yield row("active units", "active_units", digits=0)
    yield row("squared error", "squared_error", lower, 1)
    yield row("explained", "explained", higher, 3)
    if any(each.anomalies for each in evaluations):
        for score, called in SCORES.items():
            yield row(f"anomalies: AUROC, {called}", f"anomaly_auroc_{score}", higher, 3)
            yield row("  standard error", f"anomaly_auroc_standard_error_{score}", None, 3)
            yield row("  average precision", f"anomaly_average_precision_{score}", higher, 3)
    yield row("aggregate KL", "aggregate_kl_nats", lower)
    yield row("tear index", "tear_index", near_one)
    yield row("largest step", "interpolation_largest_step", near_one)
    for name in dict.fromkeys(prior.name for evaluation in evaluations for prior in evaluation.priors):
        yield from _prior_rows(prior_title(name), [_named(evaluation.priors, name) for evaluation in evaluations])


def comparison_notes(evaluations: Sequence[tuple[str, Evaluation]], mark: str) -> list[str]:
    """Returns notes on what the marks mean, what rows were compared by, and what cannot be compared."""
    lines = [f"{mark}: the best; means a row in nats; density and coverage as shares of what held-out rows reach"]
    every = [evaluation for _, evaluation in evaluations]
    for name, description in sorted({(s.name, s.description) for evaluation in every for s in evaluation.features}):
        lines.append(f"{name}: {description}")
    if len({evaluation.rows_sha256 for evaluation in every}) > 1:
        lines.append("not comparable: the models were not measured on the same rows")
    if len(names := families(every)) > 1:
        lines.append(f"ELBO, -log p(x) and bits are not comparable: the likelihoods are {', '.join(sorted(names))}")
    lines += [f"{name}: ELBO, KL and -log p(x) under its prior {prior}" for name, prior in _other_priors(evaluations)]
    budgets = {(nll.rows, nll.samples) for evaluation in every if (nll := evaluation.likelihoods.nll)}
    if len(budgets) > 1:
        listed = ", ".join(f"{rows} x {samples}" for rows, samples in sorted(budgets))
        lines.append(f"-log p(x) falls with the samples, which differ: {listed} (rows x samples)")
    return lines + [f"{name}: {alarm}" for name, evaluation in evaluations for alarm in alarms(evaluation)]


def families(evaluations: Sequence[Evaluation]) -> set[str]:
    """Returns the families of the likelihoods that scored the rows, as far as they are recorded."""
    scored = (evaluation for evaluation in evaluations if evaluation.likelihoods.negative_elbo_nats is not None)
    return {evaluation.family for evaluation in scored if evaluation.family is not None}


def _other_priors(evaluations: Sequence[tuple[str, Evaluation]]) -> Iterator[tuple[str, str]]:
    """Yields the models whose prior is not N(0, I), with its name."""
    for name, evaluation in evaluations:
        if evaluation.likelihoods.prior != STANDARD:
            yield name, evaluation.likelihoods.prior


def _prior_rows(name: str, priors: Sequence[PriorEvidence | None]) -> Iterator[Row]:
    def row(label: str, figure: Callable[[PriorEvidence], float | None], key: Ranking, digits: int = 2) -> Row:
        return _row(f"{name}: {label}", [figure(prior) if prior else None for prior in priors], key, digits)

    yield row("holes", lambda prior: prior.hole_fraction, lower, 3)
    yield row("mismatch", lambda prior: prior.mmd_squared, lower, 4)
    yield row("cycle", lambda prior: prior.cycle_distance, lower)
    for features in dict.fromkeys(drawn.features for prior in priors if prior for drawn in prior.samples):
        drawn = [_drawn(prior.samples, features) if prior else None for prior in priors]
        density, coverage = ([each and each[place] for each in drawn] for place in (0, 1))
        yield _row(f"{name}: density ({features})", density, higher)
        yield _row(f"{name}: coverage ({features})", coverage, higher)


def _row(label: str, values: Sequence[float | None], key: Ranking | None, digits: int = 2) -> Row:
    return Row(label, tuple(number(value, digits) for value in values), _best(values, key, digits))


def _best(values: Sequence[float | None], key: Ranking | None, digits: int) -> frozenset[int]:
    """Returns the places of the best values, rounded as they are printed; none where all are equal."""
    keys = {place: key(round(value, digits)) for place, value in enumerate(values) if key and value is not None}
    if len(set(keys.values())) < 2:
        return frozenset()
    return frozenset(place for place, value in keys.items() if value == min(keys.values()))


def _named(priors: Sequence[PriorEvidence], name: str) -> PriorEvidence | None:
    return next((prior for prior in priors if prior.name == name), None)


def _drawn(samples: Sequence[Drawn], features: str) -> tuple[float | None, float | None] | None:
    return next(((drawn.density, drawn.coverage) for drawn in samples if drawn.features == features), None)


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 2]}.."
