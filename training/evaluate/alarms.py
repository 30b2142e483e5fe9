"""Alarms: faults that nobody should have to find by reading the figures, a line each."""

from collections.abc import Iterator

from training.evaluate.evaluation import Evaluation

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
            "more epochs"
        )
    if evaluation.active_units == 0:
        yield "no latent is active: latents say nothing about rows; try more epochs, a lower beta, or free bits"
    nll = likelihoods.nll
    if nll is not None and nll.effective_samples < LEAST_EFFECTIVE:
        yield (
            f"-log p(x) rests on {nll.effective_samples:.1f} of {nll.samples} samples a row, so it is too high; try "
            "more samples"
        )
