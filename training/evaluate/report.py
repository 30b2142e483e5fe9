"""An evaluation for people: one table, on a terminal or in Markdown."""

from typing import NamedTuple

from training.evaluate.alarms import alarms
from training.evaluate.evaluation import Estimate, Evaluation, Nll, PriorEvidence
from vaeserve.package.manifest import STANDARD

NONE = "-"


class Figure(NamedTuple):
    """One figure."""

    label: str
    value: str
    remark: str = ""


class Section(NamedTuple):
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


def evaluation_table(evaluation: Evaluation) -> str:
    """Returns every figure as aligned lines for a terminal."""
    found = sections(evaluation)
    labels = max(len(line.label) for section in found for line in section.figures)
    values = max(len(line.value) for section in found for line in section.figures)
    text = []
    for section in found:
        text.append(section.title)
        text += [
            f"  {label:<{labels}}  {value:>{values}}  {remark}".rstrip() for label, value, remark in section.figures
        ]
    text += ["rows are compared by", *(f"  {space}" for space in _spaces(evaluation))]
    return "\n".join([*text, *(f"warning: {alarm}" for alarm in alarms(evaluation))])


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Returns every figure as Markdown tables."""
    parts = []
    for section in sections(evaluation):
        title = section.title[0].upper() + section.title[1:]
        figures = "\n".join(f"| {label} | {value} | {remark} |" for label, value, remark in section.figures)
        parts.append(f"| {title} | | |\n| --- | ---: | --- |\n{figures}")
    spaces = "\n".join(f"- {space}" for space in _spaces(evaluation))
    return "\n\n".join([*parts, "Rows are compared by:", spaces]) + "\n"


def sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Returns every figure, by what it tells about; "-" where the model does not have it."""
    found = evaluation
    latents = (
        Figure("active units", number(found.active_units, 0), f"of {found.latent_size}"),
        Figure("aggregate KL", number(found.aggregate_kl_nats), "nats, all rows' latents together against N(0, I)"),
        Figure("squared error", number(found.squared_error, 1), "of the expectation, in the data's units"),
        Figure("explained", share(found.explained), f"of the variance, columns scaled alike; {_of_pca(found)}"),
    )
    slope = "p99 / median slope of the decoder around held-out rows; a linear one has 1"
    continuity = [
        Figure("tear index", number(found.smoothness.tear_index), slope),
        Figure("largest step", number(found.interpolation_largest_step), "/ mean step, on lines between held-out rows"),
    ]
    for space in found.features:
        remark = f"of the lines' midpoints are near real rows, of real rows {space.precision:.0%}"
        continuity.append(Figure(f"midpoints, {space.name}", f"{space.midpoint_precision:.0%}", remark))
    return (
        Section(f"{found.rows} held-out rows, means a row", (*_likelihoods(found), *latents)),
        Section("continuity", tuple(continuity)),
        *(Section(f"completeness under {prior_name(prior.name)}", _prior(prior)) for prior in found.priors),
    )


def number(value: float | None, digits: int = 2) -> str:
    """Returns a figure as text; "-" where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """Returns a share as text; "-" where there is none."""
    return NONE if value is None else f"{value:.1%}"


def estimate(value: Estimate | None) -> str:
    """Returns a mean and its standard error as text; "-" where there is none."""
    return NONE if value is None else f"{value.value:.2f} +- {value.standard_error:.2f}"


def prior_name(name: str) -> str:
    """Returns what people call a prior."""
    return "N(0, I)" if name == STANDARD else name


def _likelihoods(evaluation: Evaluation) -> tuple[Figure, ...]:
    found, nll = evaluation.likelihoods, evaluation.likelihoods.nll
    how = (
        f"nats; {nll.samples} samples for each of {nll.rows} rows, {nll.effective_samples:.0f} effective"
        if nll
        else "nats"
    )
    return (
        Figure("negative ELBO", estimate(found.negative_elbo_nats), "nats"),
        Figure("reconstruction", estimate(found.reconstruction_nats), "nats, the distortion"),
        Figure("KL", estimate(found.kl_nats), f"nats, the rate{_by_dimension(found.kl_per_dimension_nats)}"),
        Figure("bits per dimension", number(found.bits_per_dimension, 3), "negative ELBO / (values in a row * ln 2)"),
        Figure("without latents", number(found.without_latents_nats), "nats, by one distribution for all rows"),
        Figure("-log p(x)", estimate(nll.nats if nll else None), how),
        *_bound_of_some(nll, evaluation.rows),
        Figure("-log p(x) in bits", number(nll.bits_per_dimension if nll else None, 3), "per dimension"),
    )


def _by_dimension(kl: tuple[float, ...] | None) -> str:
    return f"; {min(kl):.2f} to {max(kl):.2f} per latent dimension" if kl else ""


def _bound_of_some(nll: Nll | None, rows: int) -> tuple[Figure, ...]:
    """Returns the bound of the rows that -log p(x) is of, where they are not all: it may lie above that of all."""
    if nll is None or nll.rows == rows:
        return ()
    return (Figure("  its negative ELBO", number(nll.negative_elbo_nats), f"nats, of those {nll.rows} rows"),)


def _of_pca(found: Evaluation) -> str:
    linear = f"PCA with {found.latent_size} components"
    return f"{linear} loses none" if found.pca_squared_error is None else f"{linear}: {share(found.pca_explained)}"


def _prior(prior: PriorEvidence) -> tuple[Figure, ...]:
    chance = f"MMD^2 to all rows' latents; {prior.mmd_squared_chance:.4f} by chance"
    figures = [
        Figure(
            "holes", f"{prior.hole_fraction:.1%}", "of draws lie where no row's latent does; 1% of held-out rows do"
        ),
        Figure("mismatch", number(prior.mmd_squared, 4), chance),
        Figure("tear index", number(prior.smoothness.tear_index), "around draws"),
        Figure("cycle", number(prior.cycle_distance), "latent units from a draw to the encoding of its output"),
        Figure("cycle in deviations", number(prior.cycle_deviations), "of the posterior; below 1 is within its noise"),
    ]
    for features, density, coverage in ((drawn.features, drawn.density, drawn.coverage) for drawn in prior.samples):
        figures.append(Figure(f"density, {features}", number(density), "of samples among real rows / of held-out rows"))
        figures.append(Figure(f"coverage, {features}", number(coverage), "of real rows by samples / by held-out rows"))
    return tuple(figures)


def _spaces(evaluation: Evaluation) -> list[str]:
    return [f"{space.name}: {space.description}" for space in evaluation.features]
