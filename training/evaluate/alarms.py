"""Alarms: faults that nobody should have to find by reading the figures, a line each."""

from collections.abc import Iterator

from training.evaluate.evaluation import Evaluation

FAR = 0.25  # of PCA's error: a posterior's mean is shrunk, so even the best may miss more than PCA does
LEAST_EFFECTIVE = 5.0  # samples: with fewer, an estimate rests on the luckiest draw


def alarms(evaluation: Evaluation) -> Iterator[str]:
    """Yields what is wrong with a pair or with one of its figures, and what may help."""
    likelihoods = evaluation.likelihoods
    name, nats = "negative ELBO", likelihoods.negative_elbo_nats
    if nats is None:
        name, nats = "reconstruction alone", likelihoods.reconstruction_nats
    alike = likelihoods.without_latents_nats
    if nats is not None and alike is not None and nats.value > alike:
        yield (
            f"worse than without latents: {name} {nats.value:.2f} nats, one distribution for all rows {alike:.2f}: try "
            "more steps"
        )
    yield from _worse_than_linear(evaluation)
    if evaluation.active_units == 0:
        yield "no latent is active: latents say nothing about rows; try more steps, a lower beta, or free bits"
    nll = likelihoods.nll
    if nll is not None and nll.effective_samples < LEAST_EFFECTIVE:
        yield (
            f"-log p(x) rests on {nll.effective_samples:.1f} of {nll.samples} samples a row, so it is too high; try "
            "more samples"
        )


def _worse_than_linear(evaluation: Evaluation) -> Iterator[str]:
    """Yields where a linear model of the same latent size does better."""
    likelihoods, components = evaluation.likelihoods, f"{evaluation.latent_size} components"
    nats, linear = likelihoods.negative_elbo_nats, likelihoods.ppca_nats
    if nats is not None and linear is not None and nats.value - nats.standard_error > linear:
        yield (
            f"worse than probabilistic PCA: negative ELBO {nats.value:.2f} nats, with {components} it is {linear:.2f}: "
            "try more steps"
        )
    explained, of_pca = evaluation.explained, evaluation.pca_explained
    if explained is not None and of_pca is not None and 1 - explained > (1 + FAR) * (1 - of_pca):
        yield (
            f"worse than PCA: {1 - explained:.1%} of the variance is lost, by {components} {1 - of_pca:.1%}: "
            f"try more steps{'' if evaluation.active_units is None else ', or a lower beta'}"
        )
