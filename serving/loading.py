"""Loading a model means proving it: checksums, signatures, probes, exactness, a warm-up."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serving.engine import Engine
from serving.exactness import Exactness, probe_exactness
from serving.execution import Execution, Place, decide
from serving.rows import DataRows, LatentRows, PriorRows, ReconstructRows
from serving.session import Provider, ProviderChoice, Session, providers
from serving.settings import Settings
from serving.tuning import RunRows
from vae.errors import PackageError, StartupError
from vae.manifest import Manifest, TensorSpec
from vae.noise import RowRange
from vae.package import ModelPackage
from vae.probes import Reach, compare, reach_of
from vae.tensors import Array

_log = logging.getLogger(__name__)

# Opening a session stops the whole process, callers of other models included: they catch up before the next.
_BREATH_SECONDS = 0.02
_SHORT_SECONDS = 0.5  # what takes less is run again, since a first run lays out memory
_EXACTNESS_SECONDS = 0.4  # for all graphs of a model; the least that is tried may take longer


class Proved(NamedTuple):
    """A model whose answers were seen to be right, on the provider that will run it."""

    manifest: Manifest
    engine: Engine
    provider: Provider
    exactness: Exactness
    execution: Execution
    row_seconds: float
    """That a row takes in a full batch which runs every graph."""


def load(directory: Path, settings: Settings, known: Execution | None = None) -> Proved:
    """Opens a package, proves it on the provider that will run it, finds out how to run it best, and warms it up.

    Args:
        directory: the package.
        settings: names the provider, and what of the execution is set.
        known: how an earlier version of the model is run.

    Raises:
        PackageError: the package is damaged, or its graphs do not answer as the trainer's did.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not to be had.
    """
    package = ModelPackage.open(directory)
    manifest = package.manifest
    graphs = Graphs(package, settings.provider)
    place = Place.here(manifest.fingerprint, graphs.provider)
    execution = decide(place, settings, known, graphs.open_runner)
    sessions = graphs.open(execution.threads)
    probes = package.read_probes()
    rows = _probes_of("encoder", manifest.graphs.encoder.inputs, probes, manifest.probes.file)["data"]
    proof = _Proof(manifest, probes, graphs.provider, reach_of(manifest.data, rows))
    for name, session in sessions.items():
        proof.replay(name, session)
    exactness = _probe_exactness(sessions, probes, manifest, execution.batch_rows)
    priors = {prior.name: sessions[f"prior.{prior.name}"] for prior in manifest.priors if prior.graph}
    engine = Engine(manifest, sessions["encoder"], sessions["decoder"], sessions.get("likelihood"), priors)
    row_seconds = _warm_up(engine, manifest, execution.batch_rows)
    return Proved(manifest, engine, graphs.provider, exactness, execution, row_seconds)


class Graphs:
    """A package's graphs on the first provider that takes them; what was passed over is logged.

    Raises:
        PackageError: a graph cannot be loaded, or is not what the manifest says.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not to be had.
    """

    def __init__(self, package: ModelPackage, wanted: ProviderChoice) -> None:
        self._package = package
        self._opened: dict[int, dict[str, Session]] = {}
        *preferred, self.provider = providers(wanted)
        for provider in preferred:
            try:
                self._opened[1] = self._sessions(provider, 1)
                self.provider = provider
                return
            except StartupError as exc:
                _log.warning("not on %s: %s", provider, exc)

    def open(self, threads: int) -> dict[str, Session]:
        """Returns the graphs' sessions with so many threads; opens them once."""
        if threads not in self._opened:
            self._opened[threads] = self._sessions(self.provider, threads)
        return self._opened[threads]

    def open_runner(self, threads: int) -> RunRows:
        """Returns what runs the pair on so many rows, to measure it."""
        sessions, manifest = self.open(threads), self._package.manifest
        engine = Engine(manifest, sessions["encoder"], sessions["decoder"])

        def run(rows: int) -> None:
            engine.encode([DataRows(_blank(manifest, rows))])
            engine.decode([LatentRows(np.zeros((rows, *manifest.latent_shape), np.float32), "data")])

        return run

    def _sessions(self, provider: Provider, threads: int) -> dict[str, Session]:
        sessions = {}
        for name, graph in self._package.manifest.served_graphs.items():
            time.sleep(_BREATH_SECONDS)
            sessions[name] = Session(self._package.read(graph), graph, provider, threads)
        return sessions


class _Proof(NamedTuple):
    """What the graphs have to answer, and how nearly."""

    manifest: Manifest
    probes: Mapping[str, Array]
    provider: Provider
    reach: Reach

    def replay(self, name: str, session: Session) -> None:
        """Runs a graph on the trainer's inputs, and compares every output with the trainer's answers."""
        file = self.manifest.probes.file
        graph = self.manifest.served_graphs[name]
        tolerance = self.manifest.probes.tolerances.get(self.provider)
        if tolerance is None:
            raise PackageError(f"{file}: states no tolerance for {self.provider}")
        own = [probe for key, probe in self.probes.items() if key.rpartition(".")[0] == name]
        rows = {len(probe) if probe.ndim else 0 for probe in own}
        if len(rows) != 1 or rows == {0}:
            raise PackageError(f"{file}: holds no probes of the {name}, or not as many rows of each tensor")
        feeds, references = (_probes_of(name, specs, self.probes, file) for specs in (graph.inputs, graph.outputs))
        answers = session.run(feeds, list(references))
        for result in compare(dict(zip(references, answers, strict=True)), references, self.reach, tolerance):
            if not result.passed:
                raise PackageError(
                    f"probe {name}.{result.output} on {self.provider}: differs from the trainer's by"
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


def _probe_exactness(
    sessions: Mapping[str, Session], probes: Mapping[str, Array], manifest: Manifest, batch_rows: int
) -> Exactness:
    """Runs every graph on the trainer's inputs in batches of several sizes; what one leaves of the time, others get."""
    found: list[Exactness] = []
    end = time.monotonic() + _EXACTNESS_SECONDS
    for name, session in sessions.items():
        graph = manifest.served_graphs[name]
        feeds = _probes_of(name, graph.inputs, probes, manifest.probes.file)
        run = partial(session.run, outputs=[spec.name for spec in graph.outputs])
        share = (end - time.monotonic()) / (len(sessions) - len(found))
        found.append(probe_exactness(run, feeds, batch_rows, share))
    return Exactness(all(one.is_exact for one in found), max(one.largest_difference for one in found))


def _warm_up(engine: Engine, manifest: Manifest, batch_rows: int) -> float:
    """Runs every graph at both ends of the batch sizes. Returns how long a row takes in a full batch, in seconds."""
    seconds = 0.0
    for rows in sorted({1, batch_rows}):
        data = _blank(manifest, rows)
        engine.encode([DataRows(data)])
        for prior in manifest.priors:
            engine.decode([PriorRows(RowRange(0, 0, rows), 1.0, "data", prior=prior.name)])
        seconds = _time(engine, data)
        if seconds < _SHORT_SECONDS:
            seconds = min(seconds, _time(engine, data))
    return seconds / batch_rows


def _time(engine: Engine, data: Array) -> float:
    began = time.perf_counter()
    engine.reconstruct([ReconstructRows(data)])
    return time.perf_counter() - began


def _blank(manifest: Manifest, rows: int) -> Array:
    """Returns rows of zeros, or of what is nearest: at the ends of a wide range a graph may answer infinity."""
    value = min(max(0.0, manifest.data.minimum), manifest.data.maximum)
    return np.full((rows, *manifest.data.shape), value, manifest.data.dtype)
