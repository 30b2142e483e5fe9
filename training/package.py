"""From trained networks to a model package on disk, or to a refusal and nothing on disk."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from training.checkpoint import Checkpoint
from training.data import Dataset
from training.evaluate.held_out import HeldOut
from training.export import ExportedGraph
from training.networks import Networks
from training.parity import TOLERANCE, prove, runtime_version
from training.probes import probe_all, to_npz
from training.report import model_card
from vae.manifest import (
    File,
    Graph,
    Graphs,
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
CUDA_TOLERANCE = Tolerance(absolute=1e-4, relative=1e-3)
PREPROCESSING = (
    "Inside the graphs: the encoder casts uint8 data to float and scales [{minimum:g}, {maximum:g}] to [-1, 1]; "
    "the decoder rounds the expectation, clips it to the same range and casts it to uint8."
)


class Proved(NamedTuple):
    """A package on disk and what proved its graphs."""

    package: ModelPackage
    parity: Parity


def write_package(
    directory: Path,
    *,
    graphs: Mapping[str, ExportedGraph],
    networks: Networks,
    dataset: Dataset,
    checkpoint: Checkpoint,
    metrics: HeldOut,
    overwrite: bool,
) -> Proved:
    """Proves the graphs and writes them: nothing reaches the disk unproved.

    Args:
        directory: where the package goes.
        graphs: the encoder, the decoder and the likelihood as ONNX.
        networks: what the graphs were exported from.
        dataset: what the networks were trained on.
        checkpoint: where the networks come from.
        metrics: held-out figures.
        overwrite: whether a package that is there may be replaced.

    Raises:
        TrainingError: a graph does not answer as its network does.
        PackageError: the directory exists, or the disk refused the files.
    """
    probes = probe_all(networks, dataset)
    parity = prove({name: graph.content for name, graph in graphs.items()}, probes, dataset.spec)
    files = {
        **{f"{name}.onnx": graph.content for name, graph in graphs.items()},
        "probes.npz": to_npz(probes),
        "README.md": model_card(dataset, checkpoint.config, metrics).encode(),
    }
    manifest = describe(
        graphs=graphs, files=files, dataset=dataset, checkpoint=checkpoint, metrics=metrics, parity=parity
    )
    return Proved(ModelPackage.write(directory, manifest, files, overwrite=overwrite), parity)


def describe(
    *,
    graphs: Mapping[str, ExportedGraph],
    files: Mapping[str, bytes],
    dataset: Dataset,
    checkpoint: Checkpoint,
    metrics: HeldOut,
    parity: Parity,
) -> Manifest:
    """Returns the manifest of a package with these files."""
    config = checkpoint.config
    listed = {name: _graph(f"{name}.onnx", graph) for name, graph in graphs.items()}
    return Manifest(
        name=dataset.name,
        version=1,
        created_at=datetime.now(UTC).replace(microsecond=0),
        fingerprint=fingerprint_of(listed["encoder"].sha256, listed["decoder"].sha256),
        data=dataset.spec,
        latent_shape=(config.latent_size,),
        posterior="gaussian",
        likelihood=dataset.likelihood,
        priors=(Prior(name="standard", noise_size=config.latent_size),),
        graphs=Graphs(**listed),
        probes=Probes(
            file="probes.npz",
            sha256=sha256_of(files["probes.npz"]),
            tolerances={"cpu": TOLERANCE, "cuda": CUDA_TOLERANCE},
        ),
        readme=File(file="README.md", sha256=sha256_of(files["README.md"])),
        preprocessing=PREPROCESSING.format(minimum=dataset.spec.minimum, maximum=dataset.spec.maximum),
        provenance=Provenance(
            dataset=dataset.name,
            data_sha256=dataset.sha256,
            config={**config.to_settings(), "epochs_done": checkpoint.epoch},
            libraries={**{name: version(name) for name in LIBRARIES}, "onnxruntime": runtime_version()},
        ),
        metrics=metrics._asdict(),
        parity=parity,
    )


def _graph(file: str, graph: ExportedGraph) -> Graph:
    return Graph(
        file=file, sha256=sha256_of(graph.content), opset=graph.opset, inputs=graph.inputs, outputs=graph.outputs
    )
