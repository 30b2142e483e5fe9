"""An evaluation in three lines: the reconstructions, the samples, and the prior to draw them from."""

from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import PriorEvidence, prior_title

CLOSE = 0.02  # shares nearer to each other than this count as equal
BETTER = 0.05  # the gain in coverage from which another prior is worth asking for
ENOUGH = 0.9  # the coverage from which nothing is missing
SPARSE = 0.5  # the density below which most samples lie off the rows


def evaluation_summary(evaluation: Evaluation) -> tuple[str, ...]:
    """Returns three lines that say what the model is good for, and which prior to use; a fourth if it saw anomalies."""
    return (_reconstruction(evaluation), _samples(evaluation), _prior(evaluation), *_anomalies(evaluation))


def _reconstruction(evaluation: Evaluation) -> str:
    linear = f"PCA with {evaluation.latent_size} component{'s' * (evaluation.latent_size != 1)}"
    explained, of_pca = evaluation.explained, evaluation.pca_explained
    if explained is None:
        return f"reconstructs held-out rows with a squared error of {evaluation.squared_error:.4g} a row"
    if explained <= 0:
        return "reconstructs held-out rows no better than the mean of the training rows would"
    missed = f"{1 - explained:.0%} of the variance is lost"
    if of_pca is None or of_pca >= 1:
        return f"reconstructs held-out rows: {missed}; {linear} loses none"
    gain = 1 - (1 - explained) / (1 - of_pca)
    missed += f", by PCA {1 - of_pca:.0%}"
    if abs(gain) < CLOSE:
        return f"reconstructs held-out rows as well as {linear} ({missed})"
    return f"reconstructs held-out rows {abs(gain):.0%} {'better' if gain > 0 else 'worse'} than {linear} ({missed})"


def _samples(evaluation: Evaluation) -> str:
    own = evaluation.model_prior
    coverage = _coverage(own)
    if coverage is None:
        return "cannot judge samples: even held-out rows lie near no training row"
    density = min(drawn.density or 0.0 for drawn in own.samples)
    sparse = f", but few of them lie among real rows (density {density:.2f})" if density < SPARSE else ""
    return f"samples from {prior_title(own.name)} {_cover(coverage)}{sparse}"


def recommended_prior(evaluation: Evaluation) -> str | None:
    """Returns the name of the prior to draw from, by the evidence; None where priors cannot be compared."""
    own = evaluation.model_prior
    if _coverage(own) is None:
        return None
    best = _best_other(evaluation)
    return own.name if best is None or _quality(best) < _quality(own) + BETTER else best.name


def _best_other(evaluation: Evaluation) -> PriorEvidence | None:
    """Returns the best prior besides the model's own; None if it has no other."""
    return max((prior for prior in evaluation.priors if prior != evaluation.model_prior), key=_quality, default=None)


def _prior(evaluation: Evaluation) -> str:
    own, best = evaluation.model_prior, _best_other(evaluation)
    coverage = _coverage(own)
    if coverage is None:
        return "cannot compare priors, for the same reason"
    if best is None:
        return "has no other prior" + ("" if coverage >= ENOUGH else "; a mixture may cover more: --mixture-components")
    others_reach = f"samples from prior {best.name} {_cover(_coverage(best) or 0.0)}"
    if recommended_prior(evaluation) == own.name:
        return f"{others_reach}, which is no better: {prior_title(own.name)} will do"
    return f"{others_reach}: use --prior {best.name}"


def _anomalies(evaluation: Evaluation) -> tuple[str, ...]:
    if evaluation.anomalies is None:
        return ()
    score = evaluation.anomalies.scores[0]
    by = {"negative_elbo": "ELBO", "reconstruction": "-log p(x | latent)"}.get(score.name, "squared error")
    return (f"tells anomalies from held-out rows by the {by} with an AUROC of {score.auroc.value:.3f}",)


def _cover(coverage: float) -> str:
    share = "all" if coverage > 1 - CLOSE else f"{coverage:.0%}"
    return f"cover {share} of the real rows that held-out rows cover"


def _coverage(prior: PriorEvidence) -> float | None:
    """Returns the lowest coverage of all feature spaces, as a share of what held-out rows reach."""
    values = [drawn.coverage for drawn in prior.samples if drawn.coverage is not None]
    return min(values, default=None)


def _quality(prior: PriorEvidence) -> float:
    """Returns the lower of coverage and density; more than what held-out rows reach counts as that."""
    shares = [share or 0.0 for drawn in prior.samples for share in (drawn.coverage, drawn.density)]
    return min([1.0, *shares])
