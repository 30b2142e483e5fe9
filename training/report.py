"""Figures for people: the table at the end of a run, and the model card, the package's README."""

from training.card.about import About
from training.checkpoint import Checkpoint
from training.config import Config
from training.data import Dataset
from training.evaluate.evaluation import Evaluation
from training.models import model_of
from vae.manifest import DataSpec, Likelihood, Parity

_WHERE_DATA_LIES = ("dataset", "data_dir")  # paths are nobody's business


def opening(last: Checkpoint, dataset: Dataset) -> str:
    """Returns what a run starts from, in one line."""
    shape = " x ".join(map(str, dataset.spec.shape))
    resumed = f", resumed after epoch {last.epoch}" if last.epoch else ""
    return (
        f"{dataset.name}: {len(dataset.train)} rows of {shape} values to train on, {len(dataset.test)} held out; "
        f"{last.config.latent_size} latent values, seed {last.config.seed}{resumed}"
    )


def table(evaluation: Evaluation, dataset: Dataset, config: Config) -> str:
    """Returns the held-out figures as aligned lines for a terminal."""
    lines = [f"{len(dataset.test)} held-out rows, means a row"]
    for label, value, remark in _lines(evaluation, config):
        lines.append(f"  {label:<18} {value:>9}  {remark}".rstrip())
    return "\n".join(lines)


def proof(parity: Parity) -> str:
    """Returns what the parity gate found, in one line."""
    sizes = ", ".join(map(str, parity.batch_sizes))
    return f"{len(parity.checks)} outputs agree with PyTorch's in batches of {sizes} rows"


def model_card(dataset: Dataset, config: Config, evaluation: Evaluation) -> str:
    """Returns the README of the package, in Markdown."""
    figures = "\n".join(f"| {label} | {value} | {remark} |" for label, value, remark in _lines(evaluation, config))
    shape = " x ".join(map(str, dataset.spec.shape))
    return f"""# {dataset.name}

A variational autoencoder: data of shape {shape} ({dataset.spec.dtype}, {dataset.spec.minimum:g} to \
{dataset.spec.maximum:g}) to {config.latent_size} latent values and back.

- **Data**: {dataset.title}. {len(dataset.train)} rows to train on, {len(dataset.test)} held out.
- **Likelihood**: {config.likelihood or dataset.family}, every constant included.
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


def about(dataset: Dataset, config: Config, likelihood: Likelihood, default_prior: str) -> About:
    """Returns what the model card tells besides what it measures."""
    defaults = Config()
    settings = {key: value for key, value in config if value != getattr(defaults, key)}
    constants = ", ".join(f"{name} {value:g}" for name, value in likelihood.constants.items())
    return About(
        name=dataset.name,
        model=model_of(config.model).title,
        data=dataset.title,
        train_rows=len(dataset.train),
        validation_rows=len(dataset.validation),
        test_rows=len(dataset.test),
        likelihood=f"{likelihood.family} ({constants})" if constants else likelihood.family,
        networks=_networks(config),
        settings={key: value for key, value in settings.items() if key not in _WHERE_DATA_LIES},
        default_prior=default_prior,
        skipped=dataset.skipped,
    )


def _networks(config: Config) -> str:
    sizes = ", ".join(map(str, config.hidden_sizes))
    average = "the graphs hold the running average of the weights, and no random operator"
    match config.network:
        case "linear":
            return "one linear map each way"
        case "conv":
            return f"convolutions with levels of {sizes} channels, mirrored in the decoder; {average}"
        case name:
            return f"{name} with hidden layers of {sizes} units, mirrored in the decoder; {average}"


def _lines(evaluation: Evaluation, config: Config) -> list[tuple[str, str, str]]:
    """Returns (label, value, remark) a figure."""
    saved = 1 - evaluation.squared_error / evaluation.pca_squared_error
    comparison = f"{abs(saved):.0%} {'below' if saved >= 0 else 'above'} PCA"
    found = evaluation.metrics
    lines = [
        ("negative ELBO", "negative_elbo_nats", "nats"),
        ("reconstruction", "reconstruction_nats", "nats"),
        ("KL", "kl_nats", "nats"),
    ]
    told = [(label, f"{found[key]:.2f}", unit) for label, key, unit in lines if key in found]
    return [
        *told,
        ("squared error", f"{evaluation.squared_error:.1f}", f"of the expectation; {comparison}"),
        ("PCA", f"{evaluation.pca_squared_error:.1f}", f"squared error with {config.latent_size} components"),
    ]


def preprocessing_of(data: DataSpec) -> str:
    """Returns what the graphs do to the data, in a sentence."""
    if data.kind == "table":
        return "Inside the graphs: the encoder scales every column to mean 0 and variance 1, the decoder scales back."
    rounded = "rounds the expectation, clips it to the same range and casts it to uint8"
    if data.dtype == "float32":
        rounded = "clips the expectation to the same range"
    return (
        f"Inside the graphs: the encoder scales [{data.minimum:g}, {data.maximum:g}] to [-1, 1]; the decoder {rounded}."
    )
