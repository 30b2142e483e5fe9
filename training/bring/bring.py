"""Packages a pair that was made elsewhere: asked as it came, joined to the tensors of a package, proved, written."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.bring import checks, files, reference
from training.bring.borders import Own, decoder_graph, encoder_graph
from training.bring.card import card_of, preprocessing_of
from training.bring.reference import DecoderReference, EncoderReference, Part, to_own
from training.bring.roles import decoder_roles, encoder_roles
from training.bring.scorer import UNKNOWN, Scorer, own_scorer, scorer_of
from training.bring.spec import Spec, parse_spec
from training.bring.trial import trial_rows
from training.graphs import ExportedGraph, described, trace
from training.package import Contents, Proved, write_package
from training.probes import GraphModule, Probe, probe_all
from training.progress import say
from vae.errors import TrainingError
from vae.manifest import Likelihood, Tolerance
from vae.package import ModelPackage, check_place


class Half(NamedTuple):
    """An encoder or a decoder as it came, and the graph that it is or becomes."""

    part: Part
    own: Callable[[Tensor], Own]
    """Rows of its own, to trace a module with -> the graph."""


class Pair(NamedTuple):
    """What is to be packaged."""

    encoder: Half
    decoder: Half
    scorer: Scorer | None
    spec: Spec


def export(
    encoder: nn.Module,
    decoder: nn.Module,
    spec: Spec | Mapping[str, object],
    directory: Path | str,
    rows: npt.ArrayLike | None = None,
) -> ModelPackage:
    """Exports any two modules as a model package, proves it and writes it. The modules stay as they are.

    Args:
        encoder: rows in the spec's layout and range -> (mean, log_variance), or what the spec says.
        decoder: latents -> the expectation, or what the spec says.
        spec: what the modules take and answer.
        directory: where the package goes, a new one.
        rows: real data to try them on, [rows, *spec.shape]; the first 40 are used. Random ones if not given.

    Raises:
        TrainingError: the modules are not what the spec says, cannot be exported, or do not answer each row by itself.
        PackageError: the directory exists, or cannot be written.
    """
    if not isinstance(spec, Spec):
        spec = parse_spec(dict(spec), "spec")
    check_place(Path(directory))
    row = to_own(trial_rows(rows, spec)[:2], spec)
    latent = torch.zeros(2, *spec.latent_shape)
    encoding, decoding = (
        _half("encoder", encoder, encoder_roles, spec, row),
        _half("decoder", decoder, decoder_roles, spec, latent),
    )
    pair = Pair(encoding, decoding, scorer_of(spec, decoding.part.roles), spec)
    return _write(Path(directory), pair, rows).package


def package(
    directory: Path,
    *,
    encoder: Path,
    decoder: Path,
    spec: Spec,
    likelihood: Path | None = None,
    rows: npt.ArrayLike | None = None,
) -> Proved:
    """Packages ONNX files as a model package, proves it and writes it.

    Args:
        directory: where the package goes, a new one.
        encoder: data -> mean, log_variance.
        decoder: latent -> the expectation.
        spec: what the graphs take and answer.
        likelihood: data, parameters -> log_likelihood, where it is not to be made of the family that the spec names.
        rows: real data to try them on, [rows, *spec.shape]; the first 40 are used. Random ones if not given.

    Raises:
        TrainingError: a file is no graph that can be served, is not what the spec says, or does not answer each row by
            itself.
        PackageError: the directory exists, or cannot be written.
    """
    check_place(directory)
    encoding = _file_half(files.read_graph(encoder), encoder_roles, spec, spec.own_shape)
    decoding = _file_half(files.read_graph(decoder), decoder_roles, spec, spec.latent_shape)
    own = None if likelihood is None else own_scorer(files.read_graph(likelihood), spec)
    pair = Pair(encoding, decoding, own or scorer_of(spec, decoding.part.roles), spec)
    return _write(directory, pair, rows)


def _half(label: str, module: nn.Module, roles_of: Callable[..., tuple[str, ...]], spec: Spec, example: Tensor) -> Half:
    """Returns a module as half of a pair."""
    copied, run = reference.runner_of(label, module)
    outputs = run(example)
    part = Part(label, run, roles_of(label, spec, len(outputs)))

    def graph(rows: Tensor) -> Own:
        names = tuple(f"answer_{number}" for number in range(len(outputs)))
        model = trace(label, GraphModule(copied, ("rows",), names), {"rows": rows.numpy()})
        return Own(label, model, (torch.float32,), part.roles)

    return Half(part, graph)


def _file_half(
    file: files.GraphFile, roles_of: Callable[..., tuple[str, ...]], spec: Spec, row_shape: tuple[int, ...]
) -> Half:
    """Returns a graph as half of a pair, which takes rows of this shape."""
    if len(file.inputs) != 1:
        names = ", ".join(port.name for port in file.inputs)
        raise TrainingError(f"{file.label}: takes {names}, must take one tensor; noise is drawn outside of graphs")
    (taken,) = file.inputs
    files.check_row(file.label, taken, row_shape)
    if taken.dtype == torch.uint8 and (row_shape == spec.latent_shape or spec.data.dtype != "uint8" or spec.scaled_to):
        raise TrainingError(
            f"{file.label}: input {taken.name} is uint8, which what it is to be given does not fit into"
        )
    answered = [port.name for port in file.outputs]
    part = Part(file.label, files.runner_of(file), roles_of(file.label, spec, len(answered), answered))
    own = Own(file.label, file.model, (taken.dtype,), part.roles)
    return Half(part, lambda _: own)


def _write(directory: Path, pair: Pair, rows: npt.ArrayLike | None) -> Proved:
    encoder, decoder, scorer, spec = pair
    modules = _modules(pair)
    probes = probe_all(modules, spec.data, trial_rows(rows, spec))
    tolerance = Tolerance(absolute=spec.tolerance, relative=10 * spec.tolerance)
    labels = {"encoder": encoder.part.label, "decoder": decoder.part.label}
    for graph, module in modules.items():
        checks.check_probe(labels.get(graph, graph), module, probes[graph], spec.data, tolerance)
    metrics = {} if rows is None else _reconstruction(probes)
    contents = Contents(
        name=spec.name,
        data=spec.data,
        latent_shape=spec.latent_shape,
        posterior=spec.posterior,
        likelihood=scorer.description if scorer else Likelihood(family=UNKNOWN),
        graphs=_graphs(pair, probes),
        probes=probes,
        card={"README.md": card_of(spec, metrics).encode()},
        metrics=metrics,
        preprocessing=preprocessing_of(spec),
        provenance=None,
        version=spec.version,
        tolerance=tolerance,
    )
    return write_package(directory, contents, overwrite=False)


def _modules(pair: Pair) -> dict[str, GraphModule]:
    """Returns what the graphs must answer, by graph name."""
    encoder, decoder, scorer, spec = pair
    moments = ("mean",) if spec.posterior == "none" else ("mean", "log_variance")
    decoded = ("data", "expectation") if scorer is None else ("data", "expectation", "parameters")
    decoding = DecoderReference(decoder.part, spec, with_parameters=scorer is not None)
    modules = {
        "encoder": GraphModule(EncoderReference(encoder.part, spec), ("data",), moments),
        "decoder": GraphModule(decoding, ("latent",), decoded),
    }
    return modules if scorer is None else {**modules, "likelihood": scorer.module}


def _graphs(pair: Pair, probes: Mapping[str, Probe]) -> dict[str, ExportedGraph]:
    encoder, decoder, scorer, spec = pair
    data = torch.from_numpy(probes["encoder"].inputs["data"])
    latent = torch.from_numpy(probes["decoder"].inputs["latent"])
    parameters = probes["decoder"].outputs.get("parameters")
    shape = None if parameters is None else parameters.shape[1:]
    graphs = {
        "encoder": described(encoder.part.label, encoder_graph(encoder.own(to_own(data, spec)), spec)),
        "decoder": described(decoder.part.label, decoder_graph(decoder.own(latent), spec, shape)),
    }
    if scorer is not None:
        graphs["likelihood"] = scorer.graph(probes["likelihood"].inputs)
    return graphs


def _reconstruction(probes: Mapping[str, Probe]) -> dict[str, float]:
    """Returns how near the given rows come back, and says so if they do not."""
    error, of_mean = checks.reconstruction_of(probes)
    if error > of_mean > 0:
        say(
            "the rows come back worse than their mean would: are layout, scaled_to and the order of outputs what the "
            f"pair was trained with? (squared error {error:.3g} a row, the mean's {of_mean:.3g})"
        )
    return {"squared_error": error, "mean_row_squared_error": of_mean}
