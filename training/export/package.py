"""From exported graphs to a model package on disk; if the proof fails, nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from training.export.footprint import footprints_of
from training.export.graphs import ExportedGraph
from training.export.onnx_runner import runtime_version
from training.export.parity import TOLERANCE, prove
from training.export.priors import ExportedPrior
from training.export.probes import Probe, to_npz
from training.settings.creation import creation_time
from vaeserve.package.contents import (
    Codes,
    File,
    Graph,
    Graphs,
    LatentScaling,
    Likelihood,
    PairPrecision,
    Parity,
    Prior,
    Probes,
    Provenance,
    Tolerance,
    fingerprint_of,
)
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage, sha256_of
from vaeserve.package.manifest import STANDARD, Manifest
from vaeserve.package.row_spec import LatentSpec
from vaeserve.package.sizes import Axes, PictureSizes

LIBRARIES = ("torch", "onnx", "onnxscript", "numpy", "scikit-learn")
README = "README.md"
CUDA_FACTOR = 10  # times the CPU's tolerance, because sums run in another order


class Contents(NamedTuple):
    """Everything that a package is made of."""

    name: str
    data: DataSpec
    latent_shape: Axes
    posterior: Literal["gaussian", "none"]
    likelihood: Likelihood
    """Of the family "none" if the pair was trained without one."""
    graphs: Mapping[str, ExportedGraph]
    """Encoder, decoder and, if there is one, likelihood."""
    probes: Mapping[str, Probe]
    """Of every graph; of rows of other sizes than the smallest by `graph@size`."""
    card: Mapping[str, bytes]
    """README.md and the pictures that it shows, by file name."""
    metrics: Mapping[str, float]
    preprocessing: str
    provenance: Provenance | None
    encoder_afterwards: bool = False
    """Whether the encoder was trained after the decoder, on what that decodes."""
    priors: Sequence[ExportedPrior] = ()
    """The priors besides N(0, I)."""
    default_prior: str = STANDARD
    version: int = 1
    tolerance: Tolerance = TOLERANCE
    """Maximum difference between the CPU's answers and the probes'."""
    has_standard: bool = True
    """Whether N(0, I) is a prior of the pair."""
    scaling: LatentScaling | None = None
    """How latents relate to those of the pair's networks; None: they are the same."""
    trials: Mapping[str, Probe] = MappingProxyType({})
    """More probes, which prove the graphs and are not stored."""
    precision: PairPrecision = "float32"
    """Of the encoder and the decoder."""
    float32: Mapping[str, ExportedGraph] = MappingProxyType({})
    """The same encoder and decoder in float32, if they are not: see `training.export.precision`."""
    levels: tuple[int, ...] = ()
    """Number of levels of each value of a latent; empty unless latents are codes."""


class ProvedPackage(NamedTuple):
    """A package on disk and the proof of its graphs."""

    package: ModelPackage
    parity: Parity


def write_package(directory: Path, contents: Contents, *, overwrite: bool) -> ProvedPackage:
    """Proves the graphs, then writes the package: unproved graphs never reach the disk.

    Args:
        directory: the package's.
        contents: of the package.
        overwrite: whether to replace an existing package.

    Raises:
        TrainingError: a graph does not answer as its network does.
        PackageError: the directory exists, or the files cannot be written.
    """
    of_priors = {name: graph for prior in contents.priors for name, graph in prior.graphs.items()}
    graphs = {name: graph.content for name, graph in {**contents.graphs, **of_priors}.items()}
    probes = {**contents.probes, **{name: probe for prior in contents.priors for name, probe in prior.probes.items()}}
    parity = prove(graphs, {**probes, **contents.trials}, contents.data, contents.tolerance)
    files = {
        **{_file(name): content for name, content in graphs.items()},
        **{_file(f"{name}.float32"): graph.content for name, graph in contents.float32.items()},
        "probes.npz": to_npz(probes),
        **contents.card,
    }
    manifest = manifest_of(contents, files, parity)
    return ProvedPackage(ModelPackage.write(directory, manifest, files, overwrite=overwrite), parity)


def manifest_of(contents: Contents, files: Mapping[str, bytes], parity: Parity) -> Manifest:
    """Returns the manifest of a package with these files."""
    listed = {name: _graph(name, graph, contents.data.sizes) for name, graph in contents.graphs.items()}
    full = {name: _graph(f"{name}.float32", graph, contents.data.sizes) for name, graph in contents.float32.items()}
    return Manifest(
        name=contents.name,
        version=contents.version,
        created_at=creation_time(),
        fingerprint=fingerprint_of(listed["encoder"].sha256, listed["decoder"].sha256),
        data=contents.data,
        latent_shape=contents.latent_shape,
        posterior=contents.posterior,
        encoder_afterwards=contents.encoder_afterwards or None,
        likelihood=contents.likelihood,
        priors=tuple(_priors(contents)),
        default_prior=contents.default_prior,
        scaling=contents.scaling,
        codes=Codes(levels=contents.levels) if contents.levels else None,
        graphs=Graphs(**listed),
        probes=Probes(
            file="probes.npz",
            sha256=sha256_of(files["probes.npz"]),
            tolerances={"cpu": contents.tolerance, "cuda": _on_cuda(contents)},
        ),
        readme=File(file=README, sha256=sha256_of(files[README])),
        assets=tuple(File(file=name, sha256=sha256_of(files[name])) for name in contents.card if name != README),
        preprocessing=contents.preprocessing,
        provenance=contents.provenance,
        metrics=dict(contents.metrics),
        parity=parity,
        precision=contents.precision,
        float32=Graphs(**full) if full else None,
    )


def libraries() -> dict[str, str]:
    """Returns the versions of the libraries that make a package."""
    return {**{name: version(name) for name in LIBRARIES}, "onnxruntime": runtime_version()}


def _priors(contents: Contents) -> Iterator[Prior]:
    sizes = contents.data.sizes
    if contents.has_standard:
        fixed = LatentSpec(contents.latent_shape).value_count if sizes is None else None
        yield Prior(name=STANDARD, noise_size=fixed)
    for prior in contents.priors:
        graph, density = (_graph(name, graph, sizes) for name, graph in prior.graphs.items())
        yield Prior(name=prior.name, noise_size=prior.noise_size, graph=graph, density=density)


def _on_cuda(contents: Contents) -> Tolerance:
    tolerance = contents.tolerance
    if contents.precision != "float32":  # what was measured holds the rounding of a device with float16 kernels
        return tolerance
    return Tolerance(absolute=CUDA_FACTOR * tolerance.absolute, relative=CUDA_FACTOR * tolerance.relative)


def _graph(name: str, graph: ExportedGraph, sizes: PictureSizes | None) -> Graph:
    return Graph(
        file=_file(name),
        sha256=sha256_of(graph.content),
        opset=graph.opset,
        inputs=graph.inputs,
        outputs=graph.outputs,
        footprints=() if sizes is None else footprints_of(graph.content, sizes),
    )


def _file(graph: str) -> str:
    """Returns the name of a graph's file, for example prior-gmm.onnx for prior.gmm."""
    return f"{graph.replace('.', '-', 1)}.onnx"
