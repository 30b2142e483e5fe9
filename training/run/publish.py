"""From a checkpoint to a model package: export, ex-post prior, evidence, card, proof."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from training.card.card import card
from training.card.learning_curve import LearningCurve
from training.data import Dataset, training_rows
from training.evaluate.bounds import draw_latents
from training.evaluate.evaluation import EVALUATION_FILE, Budget, Evaluation
from training.evaluate.evidence import evaluate_pair
from training.evaluate.rows import DataArray, EvaluationRows, evenly
from training.evaluate.served import PriorGraph, ServedPair
from training.export.graphs import ExportedGraph, export_graphs
from training.export.package import write_package
from training.export.precision import in_precision
from training.export.priors import LEAST_ROWS, ExportedPrior, export_mixture, export_prior, fit_mixture
from training.export.probes import GraphModule, kinds_of, probe_all, rows_at_once
from training.models import kind_named
from training.models.kind import Kind
from training.networks.pair import DecoderOfRows, Networks
from training.run import checkpoint
from training.run.checkpoint import Checkpoint
from training.run.description import ExportedPair, about_of, contents_of
from training.run.progress import say
from training.run.report import epochs_text
from training.run.work import Stages
from training.settings.config import Config
from vaeserve.package.contents import NO_LIKELIHOOD, Likelihood, PairPrecision, Parity
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import STANDARD

LEARNED, MIXTURE = "learned", "mixture"
ENCODED_ROWS = 1000  # maximum number of rows to encode at once
MIXTURE_ROWS = 20_000  # maximum number of latents to fit the mixture on


class RunResult(NamedTuple):
    """Outcome of a run."""

    package: ModelPackage
    parity: Parity
    evaluation: Evaluation
    dataset: Dataset
    config: Config
    epochs: str = ""
    """How long it was and which epoch it exports; empty for a kind without steps."""


def publish(
    directory: Path,
    last: Checkpoint,
    dataset: Dataset,
    version: int,
    *,
    overwrite: bool,
    precision: PairPrecision = "float32",
    curve: LearningCurve | None = None,
) -> RunResult:
    """Exports the running average of the weights, evaluates the graphs and writes them, proved, as a model package.

    Args:
        directory: the package's.
        last: the run's last checkpoint.
        dataset: the run's data.
        version: of the package.
        overwrite: whether to replace an existing package.
        precision: of the encoder and the decoder.
        curve: the run's losses, for the card; None if they are not known.

    Raises:
        TrainingError: a graph cannot be exported, evaluated or proved, or the precision costs too much.
        PackageError: the directory exists, or the files cannot be written.
    """
    last = last.model_copy(update={"config": last.config.model_copy(update={"version": version})})
    config, kind, rows = last.config, kind_named(last.config.model), evaluation_rows_of(dataset)
    say("exporting the graphs")
    pair = export_pair(kind, networks_to_export(kind, last, dataset), dataset)
    converted = in_precision(pair.graphs, pair.probes, dataset.spec, precision, real_rows=kinds_of(dataset.spec).real)
    serve = as_served(converted.graphs, pair.likelihood, dataset, config)
    mixture = () if pair.levels else mixture_of(serve(), rows.train, config.mixture_components, config.seed)
    priors = (*pair.priors, *mixture)
    served = serve(priors=prior_graphs(priors), model_prior=model_prior_of(kind), levels=pair.levels)
    evaluation = evaluate_pair(served, rows, budget_of(config), Stages())
    say("drawing the card's pictures")
    about = about_of(last, dataset, pair.likelihood, default_prior_of(kind, priors), curve)
    files = {**card(served, rows, evaluation, about), EVALUATION_FILE: evaluation.to_json().encode()}
    contents = contents_of(
        last, dataset, pair, about, priors=priors, card=files, metrics=evaluation.metrics, version=version
    )
    say("proving the graphs against PyTorch, and writing the package")
    package, parity = write_package(directory, converted.applied_to(contents), overwrite=overwrite)
    return RunResult(package, parity, evaluation, dataset, config, epochs_text(last, dataset))


def model_prior_of(kind: Kind) -> str:
    """Returns the name of the prior that is part of the model."""
    return STANDARD if kind.prior is None else LEARNED


def prior_graphs(priors: Sequence[ExportedPrior]) -> dict[str, PriorGraph]:
    """Returns the priors to draw from, by name."""
    return {
        prior.name: PriorGraph(prior.graph.content, prior.noise_size, prior.density.content)
        for prior in priors
        if prior.noise_size is not None
    }


def as_served(
    graphs: Mapping[str, ExportedGraph], likelihood: Likelihood, dataset: Dataset, config: Config
) -> Callable[..., ServedPair]:
    """Returns what opens the graphs as they will be served; it takes the priors that are graphs, and the model's."""
    return partial(
        ServedPair,
        {name: graph.content for name, graph in graphs.items()},
        dataset.spec,
        config.latent_size,
        kind_named(config.model).posterior,
        family=likelihood.family,
        threads=config.threads,
    )


def export_pair(kind: Kind, networks: Networks, dataset: Dataset) -> ExportedPair:
    """Returns the graphs of trained networks, with probes, and the prior that they learned.

    Raises:
        TrainingError: PyTorch could not export a graph.
    """
    modules = modules_of(networks) if kind.likelihood else modules_without_likelihood(networks)
    probes = probe_all(modules, dataset.spec, dataset.test)
    graphs = export_graphs(modules, probes)
    likelihood = networks.decoder.likelihood.describe() if kind.likelihood else Likelihood(family=NO_LIKELIHOOD)
    priors = () if kind.prior is None else (export_prior(LEARNED, kind.prior(networks, training_rows(dataset))),)
    return ExportedPair(graphs, probes, likelihood, priors, networks.levels)


def default_prior_of(kind: Kind, priors: Sequence[ExportedPrior]) -> str:
    """Returns the default prior of samples; N(0, I) only if the latents were trained to follow it."""
    if kind.prior is not None:
        return LEARNED
    follows = kind.posterior == "gaussian" or kind.encoder_afterwards
    return MIXTURE if priors and not follows else STANDARD


def networks_to_export(kind: Kind, last: Checkpoint, dataset: Dataset) -> Networks:
    """Returns the running average of a checkpoint's weights on the CPU, as it is exported."""
    networks = checkpoint.average_of(kind, last, dataset)
    standard = networks.encoder.standard
    if standard is not None and not kind.encoder_afterwards:
        with torch.inference_mode():
            parts = torch.split(training_rows(dataset), rows_at_once(dataset.spec, ENCODED_ROWS))
            standard.fit(torch.cat([networks.encoder(rows).mean for rows in parts]))
    return networks


def modules_of(networks: Networks) -> dict[str, GraphModule]:
    """Returns the modules that become graphs, by graph name."""
    return {
        "encoder": GraphModule(networks.encoder, ("data",), networks.encoder.outputs),
        "decoder": GraphModule(networks.decoder, ("latent",), ("data", "expectation", "parameters")),
        "likelihood": GraphModule(networks.decoder.likelihood, ("data", "parameters"), ("log_likelihood",)),
    }


def modules_without_likelihood(networks: Networks) -> dict[str, GraphModule]:
    """Returns the modules that become graphs where rows have no likelihood: the pair."""
    return {
        "encoder": modules_of(networks)["encoder"],
        "decoder": GraphModule(DecoderOfRows(networks.decoder), ("latent",), ("data", "expectation")),
    }


def mixture_of(
    served: ServedPair, train: DataArray, components: int | Literal["auto"], seed: int
) -> tuple[ExportedPrior, ...]:
    """Returns the ex-post prior, fitted on a draw from each training row's posterior; none for 0 components."""
    if components == 0:
        return ()
    some = train[evenly(len(train), MIXTURE_ROWS)]
    say(f"fitting the mixture prior on the latents of {len(some):,} rows")
    count = components if components == "auto" else min(components, max(1, len(some) // LEAST_ROWS))
    return (export_mixture(MIXTURE, fit_mixture(draw_latents(served.encode(some), seed), count, seed)),)


def evaluation_rows_of(dataset: Dataset) -> EvaluationRows:
    """Returns the rows to evaluate on; where data is binarised, training rows are drawn once, as held-out rows are."""
    rows = EvaluationRows(training_rows(dataset).numpy(), dataset.test.numpy(), classes=dataset.classes)
    if dataset.labels is None:
        return rows
    train, test = dataset.labels.train.numpy(), dataset.labels.test.numpy()
    if dataset.are_anomalies is None:
        return rows._replace(train_labels=train, test_labels=test)
    apart = dataset.are_anomalies.numpy()
    return rows._replace(
        test=rows.test[~apart],
        train_labels=train,
        test_labels=test[~apart],
        anomalies=rows.test[apart],
        anomaly_labels=test[apart],
    )


def budget_of(config: Config) -> Budget:
    """Returns the budget of a run's evaluation."""
    return Budget(rows=config.evaluation_rows, samples=config.evaluation_samples, threads=config.threads)
