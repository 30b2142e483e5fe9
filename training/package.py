"""From trained networks to a model package on disk, or to a refusal and nothing on disk."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Literal, NamedTuple

from training.graphs import ExportedGraph
from training.parity import TOLERANCE, prove, runtime_version
from training.probes import Probe, to_npz
from vae.manifest import (
    DataSpec,
    File,
    Graph,
    Graphs,
    Likelihood,
    Manifest,
    Parity,
    Prior,
    Probes,
    Provenance,
    Tolerance,
    fingerprint_of,
)
from vae.package import ModelPackage, sha256_of

LIBRARIES = ("torch", "onnx", "onnxscript", "numpy", "scikit-learn")
CUDA_FACTOR = 10  # more than on the CPU, for sums in another order


class Contents(NamedTuple):
    """What a package is made of."""

    name: str
    data: DataSpec
    latent_shape: tuple[int, ...]
    posterior: Literal["gaussian", "none"]
    likelihood: Likelihood
    graphs: Mapping[str, ExportedGraph]
    """Encoder, decoder and, if there is one, likelihood."""
    probes: Mapping[str, Probe]
    """Of every graph."""
    card: Mapping[str, bytes]
    """README.md and the pictures that it shows, by file name."""
    metrics: Mapping[str, float]
    preprocessing: str
    provenance: Provenance | None
    version: int = 1
    tolerance: Tolerance = TOLERANCE
    """How far answers on the CPU may lie from the probes'."""


class Proved(NamedTuple):
    """A package on disk and what proved its graphs."""

    package: ModelPackage
    parity: Parity


def write_package(directory: Path, contents: Contents, *, overwrite: bool) -> Proved:
    """Proves the graphs and writes them: nothing reaches the disk unproved.

    Args:
        directory: where the package goes.
        contents: what it is made of.
        overwrite: whether a package that is there may be replaced.

    Raises:
        TrainingError: a graph does not answer as its network does.
        PackageError: the directory exists, or the disk refused the files.
    """
    graphs = {name: graph.content for name, graph in contents.graphs.items()}
    parity = prove(graphs, contents.probes, contents.data, contents.tolerance)
    files = {
        **{f"{name}.onnx": content for name, content in graphs.items()},
        "probes.npz": to_npz(contents.probes),
        **contents.card,
    }
    manifest = describe(contents, files, parity)
    return Proved(ModelPackage.write(directory, manifest, files, overwrite=overwrite), parity)


def describe(contents: Contents, files: Mapping[str, bytes], parity: Parity) -> Manifest:
    """Returns the manifest of a package with these files."""
    listed = {name: _graph(f"{name}.onnx", graph) for name, graph in contents.graphs.items()}
    return Manifest(
        name=contents.name,
        version=contents.version,
        created_at=datetime.now(UTC).replace(microsecond=0),
        fingerprint=fingerprint_of(listed["encoder"].sha256, listed["decoder"].sha256),
        data=contents.data,
        latent_shape=contents.latent_shape,
        posterior=contents.posterior,
        likelihood=contents.likelihood,
        priors=(Prior(name="standard", noise_size=prod(contents.latent_shape)),),
        graphs=Graphs(**listed),
        probes=Probes(
            file="probes.npz",
            sha256=sha256_of(files["probes.npz"]),
            tolerances={"cpu": contents.tolerance, "cuda": _on_cuda(contents.tolerance)},
        ),
        readme=File(file="README.md", sha256=sha256_of(files["README.md"])),
        preprocessing=contents.preprocessing,
        provenance=contents.provenance,
        metrics=dict(contents.metrics),
        parity=parity,
    )


def libraries() -> dict[str, str]:
    """Returns the versions of what a package is made with."""
    return {**{name: version(name) for name in LIBRARIES}, "onnxruntime": runtime_version()}


def _on_cuda(tolerance: Tolerance) -> Tolerance:
    return Tolerance(absolute=CUDA_FACTOR * tolerance.absolute, relative=CUDA_FACTOR * tolerance.relative)


def _graph(file: str, graph: ExportedGraph) -> Graph:
    return Graph(
        file=file, sha256=sha256_of(graph.content), opset=graph.opset, inputs=graph.inputs, outputs=graph.outputs
    )
