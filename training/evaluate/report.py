"""An evaluation for people: three lines and a table, on a terminal or in Markdown."""

from training.evaluate.alarms import alarms
from training.evaluate.class_report import anomaly_section, class_section
from training.evaluate.evaluation import Evaluation
from training.evaluate.figure_text import Figure, Section, estimate, number, share
from training.evaluate.figures import Likelihoods, Nll, PriorEvidence, prior_title
from training.evaluate.summary import evaluation_summary
from vaeserve.package.manifest import STANDARD


def evaluation_table(evaluation: Evaluation) -> str:
    """Returns the summary, then every figure, as aligned lines for a terminal."""
    every = sections(evaluation)
    labels = max(len(figure.label) for section in every for figure in section.figures)
    values = max(len(figure.value) for section in every for figure in section.figures)
    lines = ["in brief", *(f"  {line}" for line in evaluation_summary(evaluation))]
    for section in every:
        lines.append(section.title)
        lines += [
            f"  {label:<{labels}}  {value:>{values}}  {remark}".rstrip() for label, value, remark in section.figures
        ]
    lines += ["rows are compared by", *(f"  {space}" for space in _spaces(evaluation))]
    return "\n".join([*lines, *(f"warning: {alarm}" for alarm in alarms(evaluation))])


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Returns every figure as Markdown tables."""
    parts = []
    for section in sections(evaluation):
        title = section.title[0].upper() + section.title[1:]
        figures = "\n".join(f"| {_cell(label)} | {value} | {remark} |" for label, value, remark in section.figures)
        parts.append(f"| {title} | | |\n| --- | ---: | --- |\n{figures}")
    spaces = "\n".join(f"- {space}" for space in _spaces(evaluation))
    return "\n\n".join([*parts, "Rows are compared by:", spaces]) + "\n"


def sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Returns every figure, by subject; "-" where the model does not have it."""
    latents = (
        Figure("active units", number(evaluation.active_units, 0), f"of {evaluation.latent_size}"),
        Figure("aggregate KL", number(evaluation.aggregate_kl_nats), "nats, all rows' latents together to N(0, I)"),
        Figure("squared error", number(evaluation.squared_error, 1), "of the expectation, in the data's units"),
        Figure("explained", share(evaluation.explained), f"of the variance, columns scaled alike; {_pca(evaluation)}"),
    )
    return (
        Section(f"{evaluation.rows} held-out rows, means a row", (*_likelihoods(evaluation), *latents)),
        *class_section(evaluation.classes),
        *anomaly_section(evaluation.anomalies),
        Section("continuity", _continuity(evaluation)),
        *(Section(f"completeness under {prior_title(prior.name)}", _prior(prior)) for prior in evaluation.priors),
    )


def _cell(text: str) -> str:
    """Returns a label, which may be a name from the data, as a cell of a table in Markdown."""
    return "".join(f"\\{letter}" if letter in "\\|`*_<[" else letter for letter in text)


def _likelihoods(evaluation: Evaluation) -> tuple[Figure, ...]:
    figures, nll = evaluation.likelihoods, evaluation.likelihoods.nll
    effort = (
        f"; {nll.samples} samples for each of {nll.rows} rows, {nll.effective_samples:.0f} effective" if nll else ""
    )
    return (
        Figure("negative ELBO", estimate(figures.negative_elbo_nats), "nats"),
        Figure("reconstruction", estimate(figures.reconstruction_nats), "nats, the distortion"),
        Figure("KL", estimate(figures.kl_nats), f"nats, the rate{_to(figures)}"),
        Figure("bits per dimension", number(figures.bits_per_dimension, 3), "negative ELBO / (values in a row * ln 2)"),
        *_ppca(evaluation),
        Figure("without latents", number(figures.without_latents_nats), "nats, with one distribution for all rows"),
        Figure("-log p(x)", estimate(nll.nats if nll else None), f"nats{effort}"),
        *_bound_of_some(nll, evaluation.rows),
        Figure("-log p(x) in bits", number(nll.bits_per_dimension if nll else None, 3), "per dimension"),
    )


def _ppca(evaluation: Evaluation) -> tuple[Figure, ...]:
    nats, bits = evaluation.likelihoods.ppca_nats, evaluation.likelihoods.ppca_bits_per_dimension
    if nats is None:
        return ()
    remark = f"nats, {number(bits, 3)} bits per dimension, with {evaluation.latent_size} components"
    return (Figure("probabilistic PCA", number(nats), remark),)


def _to(figures: Likelihoods) -> str:
    kl = figures.kl_per_dimension_nats
    by_dimension = f"; {min(kl):.2f} to {max(kl):.2f} per latent dimension" if kl else ""
    return f"; to prior {figures.prior}" if figures.prior != STANDARD else by_dimension


def _bound_of_some(nll: Nll | None, rows: int) -> tuple[Figure, ...]:
    """Returns the bound of the rows that -log p(x) is of, where they are not all: it may lie above that of all."""
    if nll is None or nll.rows == rows:
        return ()
    return (Figure("  its negative ELBO", number(nll.negative_elbo_nats), f"nats, of those {nll.rows} rows"),)


def _pca(evaluation: Evaluation) -> str:
    linear = f"PCA with {evaluation.latent_size} components"
    if evaluation.pca_squared_error is None:
        return f"{linear} loses none"
    return f"{linear}: {share(evaluation.pca_explained)}"


def _continuity(evaluation: Evaluation) -> tuple[Figure, ...]:
    slope = "p99 / median slope of the decoder around held-out rows; a linear decoder has 1"
    step = number(evaluation.interpolation_largest_step)
    figures = [
        Figure("tear index", number(evaluation.smoothness.tear_index), slope),
        Figure("largest step", step, "/ mean step, on lines between the latents of held-out rows"),
    ]
    for space in evaluation.features:
        remark = f"of rows decoded halfway on these lines lie near real rows; of held-out rows {space.precision:.0%}"
        figures.append(Figure(f"midpoints, {space.name}", f"{space.midpoint_precision:.0%}", remark))
    return tuple(figures)


def _prior(prior: PriorEvidence) -> tuple[Figure, ...]:
    chance = f"MMD^2 to all rows' latents; {prior.mmd_squared_chance:.4f} by chance"
    holes = "of draws lie where no row's latent does; 1% of held-out rows do"
    figures = [
        Figure("holes", f"{prior.hole_fraction:.1%}", holes),
        Figure("mismatch", number(prior.mmd_squared, 4), chance),
        Figure("tear index", number(prior.smoothness.tear_index), "around draws"),
        Figure("cycle", number(prior.cycle_distance), "latent units from a draw to the encoding of its output"),
        Figure("cycle in deviations", number(prior.cycle_deviations), "of the posterior; below 1 is within its noise"),
    ]
    for features, density, coverage in ((drawn.features, drawn.density, drawn.coverage) for drawn in prior.samples):
        figures.append(Figure(f"density, {features}", number(density), "of samples among real rows; held-out rows: 1"))
        figures.append(Figure(f"coverage, {features}", number(coverage), "of real rows by samples; held-out rows: 1"))
    return tuple(figures)


def _spaces(evaluation: Evaluation) -> list[str]:
    return [f"{space.name}: {space.description}" for space in evaluation.features]
