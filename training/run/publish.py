"""From a checkpoint to a model package: export, ex-post prior, evidence, card, proof."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from training.card.about import About
from training.card.card import card
from training.data import Dataset, training_rows
from training.evaluate.bounds import draw_latents
from training.evaluate.evaluation import EVALUATION_FILE, Budget, Evaluation
from training.evaluate.evidence import evaluate_pair
from training.evaluate.rows import EvaluationRows, evenly
from training.evaluate.served import PriorGraph, ServedPair
from training.export.graphs import ExportedGraph, export_graphs
from training.export.package import Contents, libraries, write_package
from training.export.priors import LEAST_ROWS, ExportedPrior, export_prior, fit_mixture
from training.export.probes import GraphModule, probe_all, rows_at_once
from training.models import kind_named
from training.models.kind import Kind
from training.networks.pair import Networks
from training.run import checkpoint
from training.run.checkpoint import Checkpoint
from training.run.progress import Stages, say
from training.run.report import networks_of, preprocessing_of
from training.settings.config import Config
from vaeserve.package.contents import Likelihood, Parity, Provenance
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import STANDARD

MIXTURE = "mixture"
ENCODED_ROWS = 1000  # maximum number at once
MIXTURE_ROWS = 20_000  # maximum number of latents that it is fitted on


class RunResult(NamedTuple):
    """What came of a run."""

    package: ModelPackage
    parity: Parity
    evaluation: Evaluation
    dataset: Dataset
    config: Config


def publish(directory: Path, last: Checkpoint, dataset: Dataset, version: int, *, overwrite: bool) -> RunResult:
    """Exports the running average of the weights, evaluates the graphs and writes them, proved, as a model package.

    Args:
        directory: the package's.
        last: the run's last checkpoint.
        dataset: the run's data.
        version: of the package.
        overwrite: whether an existing package may be replaced.

    Raises:
        TrainingError: a graph cannot be exported, evaluated or proved.
        PackageError: the directory exists, or the disk refused the files.
    """
    last = last.model_copy(update={"config": last.config.model_copy(update={"version": version})})
    config, kind, rows = last.config, kind_named(last.config.model), evaluation_rows_of(dataset)
    networks = networks_to_export(kind, last, dataset)
    say("exporting, and proving the graphs against PyTorch")
    modules = modules_of(networks)
    probes = probe_all(modules, dataset.spec, dataset.test)
    graphs = export_graphs(modules, probes)
    priors = mixture_of(serve(kind, graphs, dataset, config), rows, config)
    served = serve(kind, graphs, dataset, config, priors)
    evaluation = evaluate_pair(served, rows, budget_of(config), Stages())
    default_prior = MIXTURE if priors and served.posterior == "none" else STANDARD
    likelihood = networks.decoder.likelihood.describe()
    about = about_of(kind, config, dataset, likelihood, default_prior)
    contents = Contents(
        name=about.name,
        data=dataset.spec,
        latent_shape=(config.latent_size,),
        posterior=served.posterior,
        likelihood=likelihood,
        graphs=graphs,
        probes=probes,
        card={**card(served, rows, evaluation, about), EVALUATION_FILE: evaluation.to_json().encode()},
        metrics=evaluation.metrics,
        preprocessing=preprocessing_of(dataset.spec, likelihood.family),
        provenance=provenance_of(last, dataset),
        priors=priors,
        default_prior=default_prior,
        version=version,
    )
    package, parity = write_package(directory, contents, overwrite=overwrite)
    return RunResult(package, parity, evaluation, dataset, config)


def about_of(kind: Kind, config: Config, dataset: Dataset, likelihood: Likelihood, default_prior: str) -> About:
    """Returns what a model card says besides figures."""
    constants = "".join(f" ({name} {value:g})" for name, value in likelihood.constants.items())
    return About(
        name=name_of(config, dataset),
        model=kind.title,
        data=dataset.title,
        train_rows=len(dataset.train),
        validation_rows=len(dataset.validation),
        test_rows=len(dataset.test),
        likelihood=f"{likelihood.family}{constants}",
        networks=networks_of(config),
        settings=config.changed(),
        default_prior=default_prior,
        skipped=dataset.skipped,
        notes=dataset.notes,
        classes=dataset.classes,
    )


def name_of(config: Config, dataset: Dataset) -> str:
    """Returns the name of a run's package."""
    return config.name or dataset.name


def provenance_of(last: Checkpoint, dataset: Dataset) -> Provenance:
    """Returns a package's provenance."""
    return Provenance(
        dataset=dataset.name,
        data_sha256=dataset.sha256,
        config={**last.config.to_settings(), "epochs_done": last.epoch},
        libraries=libraries(),
    )


def networks_to_export(kind: Kind, last: Checkpoint, dataset: Dataset) -> Networks:
    """Returns the running average of a checkpoint's weights on the CPU, as it is exported."""
    networks = checkpoint.average_of(kind, last, dataset)
    standard = networks.encoder.standard
    if standard is not None:
        with torch.inference_mode():
            parts = torch.split(training_rows(dataset), rows_at_once(dataset.spec, ENCODED_ROWS))
            standard.fit(torch.cat([networks.encoder(rows).mean for rows in parts]))
    return networks


def modules_of(networks: Networks) -> dict[str, GraphModule]:
    """Returns the modules that become graphs, by graph name."""
    moments = ("mean",) if networks.encoder.standard is not None else ("mean", "log_variance")
    return {
        "encoder": GraphModule(networks.encoder, ("data",), moments),
        "decoder": GraphModule(networks.decoder, ("latent",), ("data", "expectation", "parameters")),
        "likelihood": GraphModule(networks.decoder.likelihood, ("data", "parameters"), ("log_likelihood",)),
    }


def serve(
    kind: Kind,
    graphs: Mapping[str, ExportedGraph],
    dataset: Dataset,
    config: Config,
    priors: tuple[ExportedPrior, ...] = (),
) -> ServedPair:
    """Returns exported graphs as they will be served."""
    return ServedPair(
        {name: graph.content for name, graph in graphs.items()},
        dataset.spec,
        config.latent_size,
        kind.posterior,
        family=config.likelihood or dataset.family,
        priors={prior.name: PriorGraph(prior.graph.content, prior.noise_size) for prior in priors},
        threads=config.threads,
    )


def mixture_of(served: ServedPair, rows: EvaluationRows, config: Config) -> tuple[ExportedPrior, ...]:
    """Returns the ex-post prior, fitted on a draw from each training row's posterior; none where none is wanted."""
    wanted = config.mixture_components
    if wanted == 0:
        return ()
    some = rows.train[evenly(len(rows.train), MIXTURE_ROWS)]
    components = wanted if wanted == "auto" else min(wanted, max(1, len(some) // LEAST_ROWS))
    return (
        export_prior(MIXTURE, fit_mixture(draw_latents(served.encode(some), config.seed), components, config.seed)),
    )


def evaluation_rows_of(dataset: Dataset) -> EvaluationRows:
    """Returns the rows to evaluate on; where data is binarised, training rows are drawn once, as held-out ones are."""
    labels = dataset.labels
    return EvaluationRows(
        train=training_rows(dataset).numpy(),
        test=dataset.test.numpy(),
        train_labels=None if labels is None else labels.train.numpy(),
        test_labels=None if labels is None else labels.test.numpy(),
    )


def budget_of(config: Config) -> Budget:
    """Returns what a run's evaluation may cost."""
    return Budget(rows=config.evaluation_rows, samples=config.evaluation_samples, threads=config.threads)
