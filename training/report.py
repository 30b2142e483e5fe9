"""Figures for people: the table at the end of a run, and the model card, the package's README."""

from training.checkpoint import Checkpoint
from training.config import Config
from training.data import Dataset
from training.evaluate.held_out import HeldOut
from vae.manifest import Parity


def opening(last: Checkpoint, dataset: Dataset) -> str:
    """Returns what a run starts from, in one line."""
    shape = " x ".join(map(str, dataset.spec.shape))
    resumed = f", resumed after epoch {last.epoch}" if last.epoch else ""
    return (
        f"{dataset.name}: {len(dataset.train)} rows of {shape} values to train on, {len(dataset.test)} held out; "
        f"{last.config.latent_size} latent values, seed {last.config.seed}{resumed}"
    )


def table(metrics: HeldOut, dataset: Dataset, config: Config) -> str:
    """Returns the held-out figures as aligned lines for a terminal."""
    lines = [f"{len(dataset.test)} held-out rows, means a row"]
    for label, value, remark in _lines(metrics, config):
        lines.append(f"  {label:<18} {value:>9}  {remark}".rstrip())
    return "\n".join(lines)


def proof(parity: Parity) -> str:
    """Returns what the parity gate found, in one line."""
    sizes = ", ".join(map(str, parity.batch_sizes))
    return f"{len(parity.checks)} outputs agree with PyTorch's in batches of {sizes} rows"


def model_card(dataset: Dataset, config: Config, metrics: HeldOut) -> str:
    """Returns the README of the package, in Markdown."""
    figures = "\n".join(f"| {label} | {value} | {remark} |" for label, value, remark in _lines(metrics, config))
    shape = " x ".join(map(str, dataset.spec.shape))
    constants = ", ".join(f"{name} {value:g}" for name, value in dataset.likelihood.constants.items())
    return f"""# {dataset.name}

A variational autoencoder: data of shape {shape} ({dataset.spec.dtype}, {dataset.spec.minimum:g} to \
{dataset.spec.maximum:g}) to {config.latent_size} latent values and back.

- **Data**: {dataset.title}. {len(dataset.train)} rows to train on, {len(dataset.test)} held out.
- **Likelihood**: {dataset.likelihood.family} ({constants}), exact, every constant included.
- **Posterior and prior**: Gaussian with a diagonal covariance; N(0, I).
- **Networks**: perceptrons with hidden layers of {", ".join(map(str, config.hidden_sizes))} units, mirrored in the \
decoder. The graphs hold the running average of the weights, and no random operator.

## Figures on the held-out rows

Means a row. The expectation over the posterior is estimated with 16 draws.

| figure | value | |
| --- | ---: | --- |
{figures}

manifest.json tells how it was trained, with which libraries, and how closely the graphs follow PyTorch.
"""


def _lines(metrics: HeldOut, config: Config) -> list[tuple[str, str, str]]:
    """Returns (label, value, remark) a figure."""
    saved = 1 - metrics.squared_error / metrics.pca_squared_error
    comparison = f"{abs(saved):.0%} {'below' if saved >= 0 else 'above'} PCA"
    return [
        ("negative ELBO", f"{metrics.negative_elbo_nats:.2f}", "nats"),
        ("reconstruction", f"{metrics.reconstruction_nats:.2f}", "nats"),
        ("KL", f"{metrics.kl_nats:.2f}", "nats"),
        ("bits per dimension", f"{metrics.bits_per_dimension:.3f}", "negative ELBO / (values in a row * ln 2)"),
        ("active units", str(metrics.active_units), f"of {config.latent_size}"),
        ("squared error", f"{metrics.squared_error:.1f}", f"of the expectation; {comparison}"),
        ("PCA", f"{metrics.pca_squared_error:.1f}", f"squared error with {config.latent_size} components"),
    ]
