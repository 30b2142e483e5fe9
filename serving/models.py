"""The models that are served. Loading one means proving it: checksums, signatures, probes, a warm-up."""

import logging
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serving.batcher import A, Batcher, Device, R
from serving.engine import Engine
from serving.requests import Accepts
from serving.rows import DataRows, Decoded, Encoded, LatentRows, PriorRows, Reconstructed, ReconstructRows
from serving.session import Provider, Session, providers
from serving.settings import Settings
from vae.errors import NotReady, PackageError, StartupError, UnknownName
from vae.manifest import Manifest, TensorSpec
from vae.noise import ALGORITHM, RowRange
from vae.package import ModelPackage
from vae.probes import compare
from vae.tensors import DATA_TYPES, Array
from vae.v1 import vae_pb2 as pb

_log = logging.getLogger(__name__)

_PNG_BYTES = 72  # what the header, the checksums and the compressor add to a small image


class Proved(NamedTuple):
    """A model whose answers were seen to be right, on the provider that will run it."""

    manifest: Manifest
    engine: Engine
    provider: Provider


class Served(NamedTuple):
    """A model that takes calls."""

    accepts: Accepts
    description: pb.Model
    encoder: Batcher[DataRows, Encoded]
    decoder: Batcher[LatentRows | PriorRows, Decoded]
    reconstructor: Batcher[ReconstructRows, Reconstructed]

    @property
    def batchers(self) -> tuple[Batcher[Any, Any], ...]:
        """All of them."""
        return (self.encoder, self.decoder, self.reconstructor)


class Models:
    """The models being served, by name and version. Empty while they load."""

    def __init__(self) -> None:
        self._served: dict[str, Served] = {}

    def add(self, served: Served) -> None:
        """Starts to serve a model."""
        self._served[served.accepts.manifest.name] = served

    def find(self, name: str, version: int) -> Served:
        """Returns a model; an empty name means the only one, version 0 the newest.

        Raises:
            UnknownName: it is not served.
            NotReady: the models are still being loaded.
        """
        if not self._served:
            raise NotReady("the model is still being loaded")
        served = self._served.get(name or min(self._served))
        if served is None or version not in (0, served.accepts.manifest.version):
            here = ", ".join(f"{model.name} version {model.version}" for model in self.describe())
            asked = " ".join([f"model {name[:128]!r}"] * bool(name) + [f"version {version}"] * bool(version))
            raise UnknownName(f"{asked} is not served here; {here} is")
        return served

    def describe(self) -> list[pb.Model]:
        """Returns the description of every model, ordered by name.

        Raises:
            NotReady: the models are still being loaded.
        """
        if not self._served:
            raise NotReady("the model is still being loaded")
        return [served.description for _, served in sorted(self._served.items())]


def load(directory: Path, settings: Settings, threads: int) -> Proved:
    """Opens a package, proves it on the provider that will run it, and warms it up.

    Raises:
        PackageError: the package is damaged, or its graphs do not answer as the trainer's did.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not to be had.
    """
    package = ModelPackage.open(directory)
    manifest = package.manifest
    sessions, provider = _open(package, providers(settings.provider), threads)
    probes = package.read_probes()
    for name, session in sessions.items():
        _replay(name, session, probes, manifest, provider)
    engine = Engine(manifest, **sessions)
    _warm_up(engine, manifest, settings.batch_rows)
    return Proved(manifest, engine, provider)


def serve(proved: Proved, device: Device, settings: Settings) -> Served:
    """Puts batchers before a model's engine."""
    manifest, engine, provider = proved
    call_rows = _call_rows(manifest, settings)
    limits = pb.Limits(call_rows=call_rows, request_bytes=settings.message_bytes, batch_rows=settings.batch_rows)
    data_bytes, latent_bytes = (bytes_of(graph.inputs) for graph in (manifest.graphs.encoder, manifest.graphs.decoder))
    return Served(
        Accepts(manifest, call_rows),
        describe(manifest, provider, limits),
        _batcher(engine.encode, device, settings, call_rows, data_bytes),
        _batcher(engine.decode, device, settings, call_rows, latent_bytes),
        _batcher(engine.reconstruct, device, settings, call_rows, data_bytes),
    )


def describe(manifest: Manifest, provider: Provider, limits: pb.Limits) -> pb.Model:
    """Returns what GetModel answers."""
    data = manifest.data
    return pb.Model(
        name=manifest.name,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        data=pb.DataSpec(
            kind={"image": pb.DATA_KIND_IMAGE, "table": pb.DATA_KIND_TABLE}[data.kind],
            shape=data.shape,
            dtype=DATA_TYPES[data.dtype],
            minimum=data.minimum,
            maximum=data.maximum,
            missing_allowed=data.missing_allowed,
        ),
        latent_shape=manifest.latent_shape,
        posterior={"gaussian": pb.POSTERIOR_GAUSSIAN, "none": pb.POSTERIOR_NONE}[manifest.posterior],
        likelihood=pb.Likelihood(family=manifest.likelihood.family, constants=manifest.likelihood.constants),
        priors=[pb.Prior(name=prior.name, noise_size=prior.noise_size) for prior in manifest.priors],
        default_prior=manifest.default_prior,
        provider=provider,
        limits=limits,
        noise_algorithm=ALGORITHM,
        metrics=manifest.metrics,
    )


def _batcher(
    run: Callable[[Sequence[R]], Sequence[A]], device: Device, settings: Settings, call_rows: int, row_bytes: int
) -> Batcher[R, A]:
    return Batcher(
        run,
        device,
        batch_rows=settings.batch_rows,
        queue_rows=max(call_rows, min(settings.queue_rows, settings.queue_bytes // row_bytes)),
        wait_seconds=settings.wait_milliseconds / 1000,
    )


def _open(package: ModelPackage, candidates: Sequence[Provider], threads: int) -> tuple[dict[str, Session], Provider]:
    """Opens the graphs on the first provider that takes them; what was passed over is logged."""
    *preferred, last = candidates
    for provider in preferred:
        try:
            return _sessions(package, provider, threads), provider
        except StartupError as exc:
            _log.warning("not on %s: %s", provider, exc)
    return _sessions(package, last, threads), last


def _sessions(package: ModelPackage, provider: Provider, threads: int) -> dict[str, Session]:
    graphs = package.manifest.graphs.by_name
    return {name: Session(package.read(graph), graph, provider, threads) for name, graph in graphs.items()}


def _replay(name: str, session: Session, probes: Mapping[str, Array], manifest: Manifest, provider: Provider) -> None:
    """Runs a graph on the trainer's inputs, and compares every output with the trainer's answers."""
    file = manifest.probes.file
    graph = manifest.graphs.by_name[name]
    tolerance = manifest.probes.tolerances.get(provider)
    if tolerance is None:
        raise PackageError(f"{file}: states no tolerance for {provider}")
    rows = {len(probe) if probe.ndim else 0 for key, probe in probes.items() if key.startswith(f"{name}.")}
    if len(rows) != 1 or rows == {0}:
        raise PackageError(f"{file}: holds no probes of the {name}, or not as many rows of each tensor")
    feeds, references = (_probes_of(name, specs, probes, file) for specs in (graph.inputs, graph.outputs))
    answers = session.run(feeds, list(references))
    for result in compare(dict(zip(references, answers, strict=True)), references, manifest.data, tolerance):
        if not result.passed:
            raise PackageError(
                f"probe {name}.{result.output} on {provider}: differs from the trainer's by"
                f" {result.largest_difference:.3g}, allowed is {result.bound}"
            )


def _probes_of(name: str, specs: Sequence[TensorSpec], probes: Mapping[str, Array], file: str) -> dict[str, Array]:
    """Returns the probes of a graph's inputs or outputs, which must be of the tensors' own type and shape."""
    found = {}
    for spec in specs:
        probe = probes.get(f"{name}.{spec.name}")
        if probe is None or probe.dtype.name != spec.dtype or probe.shape[1:] != spec.row_shape:
            raise PackageError(f"{file}: holds no {name}.{spec.name} of {spec.dtype} {list(spec.shape)}")
        found[spec.name] = probe
    return found


def _warm_up(engine: Engine, manifest: Manifest, batch_rows: int) -> None:
    for rows in {1, batch_rows}:
        data = np.full((rows, *manifest.data.shape), manifest.data.minimum, manifest.data.dtype)
        engine.encode([DataRows(data)])
        engine.reconstruct([ReconstructRows(data)])
        engine.decode([PriorRows(RowRange(0, 0, rows), 1.0, "data")])


def bytes_of(tensors: Sequence[TensorSpec]) -> int:
    """Returns the bytes that one row of the tensors takes."""
    return sum(prod(spec.row_shape) * np.dtype(spec.dtype).itemsize for spec in tensors)


def _call_rows(manifest: Manifest, settings: Settings) -> int:
    """Returns the most rows in a call: fewer than the setting where rows are so wide that a reply would be too long."""
    data, widest = manifest.data, 4 * manifest.data.size
    if data.kind == "image":  # a small image is longer as a PNG: a byte a line, and what surrounds it
        widest = max(widest, data.size + data.shape[0] + _PNG_BYTES)
    bytes_of_reply_row = max(widest + 4 * (manifest.latent_size + 4), 8 * manifest.latent_size)
    return max(1, min(settings.call_rows, settings.message_bytes // bytes_of_reply_row))
