"""Packages a pair that was made elsewhere: runs it unchanged, joins it to a package's tensors, proves, writes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt
import torch
from torch import nn

from training.bring.borders import LIKELIHOOD, Border, Reference, decoder_border, encoder_border, likelihood_border
from training.bring.card import card_of, spec_preprocessing
from training.bring.checks import check_probes, trial_reconstruction
from training.bring.component import Component, Forward, file_component, module_component
from training.bring.join import join_graph, signature_of
from training.bring.likelihood import OfExpectation, family_of
from training.bring.spec import Spec, parse_spec
from training.bring.trial import Trial, trial_rows
from training.bring.verdict import verdict
from training.export.graphs import ExportedGraph, export_graph, read_back
from training.export.package import README, Contents, ProvedPackage, write_package
from training.export.parity import Disagreement
from training.export.probes import GraphModule, Probe, probe_all
from training.settings.versions import number_of
from vaeserve.errors import TrainingError
from vaeserve.package.contents import Likelihood, Tolerance
from vaeserve.package.directory import ModelPackage, check_place


class Candidate(NamedTuple):
    """What becomes a graph of the package if it passes the checks."""

    label: str
    """Its name in errors."""
    module: GraphModule
    """Gives the reference answers."""
    graph: Callable[[Probe], ExportedGraph]
    exact: GraphModule | None = None
    """The same module in float64; None where that is not possible."""


def export(
    encoder: nn.Module,
    decoder: nn.Module,
    spec: Spec | Mapping[str, object],
    directory: Path | str,
    rows: npt.ArrayLike | None = None,
) -> ModelPackage:
    """Exports any two modules as a model package, proves it and writes it. The modules are not changed.

    Args:
        encoder: rows in the spec's layout and range -> (mean, log_variance), or what the spec says.
        decoder: latents -> the expectation, or what the spec says.
        spec: what the modules take and answer.
        directory: where the package goes; it must not exist.
        rows: real data to try them on, [rows, *spec.shape], of which the first 40 are used; random rows if None.

    Raises:
        TrainingError: the modules contradict the spec, cannot be exported, or mix the rows of a batch.
        PackageError: the directory exists, or cannot be written.
    """
    if not isinstance(spec, Spec):
        spec = parse_spec(dict(spec), "spec")
    check_place(Path(directory))
    with _as_if_alone():
        pair = (
            module_component("encoder", encoder, spec.encoder, spec.own_shape),
            module_component("decoder", decoder, spec.decoder, spec.latent_shape),
        )
        return _write(Path(directory), spec, pair, None, rows).package


def package_files(
    directory: Path,
    *,
    encoder: Path,
    decoder: Path,
    spec: Spec,
    likelihood: Path | None = None,
    rows: npt.ArrayLike | None = None,
) -> ProvedPackage:
    """Packages ONNX files as a model package, proves it and writes it.

    Args:
        directory: where the package goes; it must not exist.
        encoder: data -> mean, log_variance.
        decoder: latent -> the expectation.
        spec: what the graphs take and answer.
        likelihood: data, parameters -> log_likelihood; None: made from the family that the spec names.
        rows: real data to try them on, [rows, *spec.shape], of which the first 40 are used; random rows if None.

    Raises:
        TrainingError: a file is not a graph that can be served, contradicts the spec, or mixes the rows of a batch.
        PackageError: the directory exists, or cannot be written.
    """
    check_place(directory)
    pair = file_component(encoder, spec.encoder, ("data",)), file_component(decoder, spec.decoder, ("latent",))
    own = None if likelihood is None else file_component(likelihood, LIKELIHOOD, ("data", "parameters"))
    return _write(directory, spec, pair, own, rows)


def _write(
    directory: Path, spec: Spec, pair: tuple[Component, Component], own: Component | None, rows: npt.ArrayLike | None
) -> ProvedPackage:
    encoder, decoder = pair
    real = trial_rows(rows, spec)
    candidates = {
        "encoder": _candidate(encoder, encoder_border(spec)),
        "decoder": _candidate(decoder, decoder_border(spec, decoder.roles)),
    }
    likelihood = Likelihood(family=spec.likelihood or ("unknown" if own is None else "own"))
    if own is not None:
        candidates["likelihood"] = _candidate(own, likelihood_border())
    elif family := family_of(spec, decoder.roles):
        scorer = family if {"logits", "parameters"} & {*decoder.roles} else OfExpectation(family)
        module = GraphModule(scorer, ("data", "parameters"), ("log_likelihood",))
        candidates["likelihood"] = Candidate(
            "likelihood", module, lambda probe: export_graph("likelihood", module, probe.inputs)
        )
        likelihood = family.describe()
    probes = probe_all({graph: candidate.module for graph, candidate in candidates.items()}, spec.data, real)
    trial = Trial(spec.data, rows is not None, probes, Tolerance(absolute=spec.tolerance, relative=10 * spec.tolerance))
    check_probes({graph: candidate[:2] for graph, candidate in candidates.items()}, trial)
    metrics = {} if rows is None else trial_reconstruction(probes, spec.data)
    contents = Contents(
        name=spec.name,
        data=spec.data,
        latent_shape=spec.latent_shape,
        posterior=spec.posterior,
        likelihood=likelihood,
        graphs={graph: candidate.graph(probes[graph]) for graph, candidate in candidates.items()},
        probes=probes,
        card={README: card_of(spec, metrics).encode()},
        metrics=metrics,
        preprocessing=spec_preprocessing(spec),
        provenance=None,
        version=number_of(spec.version, directory, spec.name),
        tolerance=trial.tolerance,
    )
    try:
        return write_package(directory, contents, overwrite=False)
    except Disagreement as exc:
        content, exact = contents.graphs[exc.graph].content, candidates[exc.graph].exact
        raise TrainingError(f"{exc}; {verdict(trial, exc, content, exact)}") from exc


def _candidate(component: Component, border: Border) -> Candidate:
    def reference(run: Forward) -> GraphModule:
        return GraphModule(Reference(component._replace(run=run), border), border.inputs, border.outputs)

    return Candidate(
        component.label,
        reference(component.run),
        lambda probe: read_back(component.label, join_graph(component, border, signature_of(probe))),
        None if component.exact is None else reference(component.exact),
    )


@contextmanager
def _as_if_alone() -> Iterator[None]:
    """Computes on the CPU in float32, whatever PyTorch's defaults are, and leaves its random state unchanged."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"), torch.autocast("cpu", enabled=False), torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(dtype)
