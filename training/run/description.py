"""What a run's package says of itself: the facts on its card, its provenance, and what the manifest lists."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.card.about import About
from training.card.learning_curve import LearningCurve
from training.data import Dataset
from training.export.graphs import ExportedGraph
from training.export.package import Contents, libraries
from training.export.priors import ExportedPrior
from training.export.probes import Probe
from training.models import kind_named
from training.run.checkpoint import Checkpoint
from training.run.report import epochs_text, networks_text, preprocessing_of
from vaeserve.package.contents import Likelihood, Provenance


class ExportedPair(NamedTuple):
    """The graphs of trained networks, and what goes into a package with them."""

    graphs: dict[str, ExportedGraph]
    """Encoder, decoder and, if there is one, likelihood."""
    probes: dict[str, Probe]
    """Of each of them."""
    likelihood: Likelihood
    priors: tuple[ExportedPrior, ...]
    """The prior that the kind learned, if it learns one."""
    levels: tuple[int, ...] = ()
    """Number of levels of each value of a latent; empty unless latents are codes."""


def about_of(
    last: Checkpoint, dataset: Dataset, likelihood: Likelihood, default_prior: str, curve: LearningCurve | None = None
) -> About:
    """Returns what a model card says besides figures.

    Args:
        last: the run's last checkpoint.
        dataset: the run's data.
        likelihood: as the manifest has it.
        default_prior: its name.
        curve: the run's losses; None if they are not known.
    """
    config, kind = last.config, kind_named(last.config.model)
    constants = "".join(f" ({name} {value:g})" for name, value in likelihood.constants.items())
    return About(
        name=last.name,
        model=kind.title,
        data=dataset.title,
        train_rows=len(dataset.train),
        validation_rows=len(dataset.validation),
        test_rows=len(dataset.test),
        likelihood=f"{likelihood.family}{constants}",
        encoder_afterwards=kind.encoder_afterwards,
        networks=networks_text(config.network, config.hidden_sizes),
        settings=config.changed(),
        default_prior=default_prior,
        skipped=dataset.skipped,
        notes=dataset.notes,
        epochs=epochs_text(last, dataset),
        curve=curve,
        classes=dataset.classes,
    )


def contents_of(
    last: Checkpoint,
    dataset: Dataset,
    pair: ExportedPair,
    about: About,
    *,
    priors: Sequence[ExportedPrior],
    card: Mapping[str, bytes],
    metrics: Mapping[str, float],
    version: int,
) -> Contents:
    """Returns what a run's package is made of.

    Args:
        last: the run's last checkpoint.
        dataset: the run's data.
        pair: the graphs.
        about: what the card says besides figures.
        priors: what there is to sample from besides N(0, I).
        card: README.md, its pictures and the evaluation, by file name.
        metrics: the evaluation's figures, by name.
        version: of the package.
    """
    kind = kind_named(last.config.model)
    return Contents(
        name=about.name,
        data=dataset.spec,
        latent_shape=(last.config.latent_size,),
        posterior=kind.posterior,
        encoder_afterwards=kind.encoder_afterwards,
        likelihood=pair.likelihood,
        graphs=pair.graphs,
        probes=pair.probes,
        card=card,
        metrics=metrics,
        preprocessing=preprocessing_of(dataset.spec, last.config.likelihood or dataset.family),
        provenance=provenance_of(last, dataset),
        priors=priors,
        default_prior=about.default_prior,
        version=version,
        levels=pair.levels,
    )


def provenance_of(last: Checkpoint, dataset: Dataset) -> Provenance:
    """Returns a package's provenance."""
    return Provenance(
        dataset=dataset.name,
        data_sha256=dataset.sha256,
        config={**last.config.to_settings(), "epochs_done": last.epoch, "best_epoch": last.exported_best},
        libraries=libraries(),
    )
