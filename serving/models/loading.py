"""Loading a model means proving it: checksums, signatures, probes, exactness, a warm-up."""

import logging
import time
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving.engine.engine import Engine
from serving.engine.providers import Placement, Provider, ProviderChoice, providers
from serving.engine.rows import DataRows, LatentRows
from serving.engine.session import Session
from serving.interrupt import Interrupt
from serving.models.exactness import Exactness
from serving.models.execution import Execution, TuningPlace, decide
from serving.models.measuring import RunRows
from serving.models.proof import Proof
from serving.models.row_memory import RowMemory, SizedGraph
from serving.settings import Settings
from vaeserve.errors import OutOfMemory, PackageError, StartupError
from vaeserve.machine.memory import available_bytes, give_back
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest

_log = logging.getLogger(__name__)

BREATH_SECONDS = 0.02
"""Opening a session stops the whole process, callers of other models included: they catch up before the next."""
_MEMORY_SHARE = 0.8  # of what is free when a model is loaded may be taken by its rows


class ProvedModel(NamedTuple):
    """A model whose answers were seen to be right, on the provider that will run it."""

    manifest: Manifest
    engine: Engine
    provider: Provider
    exactness: Exactness
    execution: Execution
    row_seconds: float
    """That a row, of the smallest size where it is free, takes in a full batch which runs every graph."""
    memory: RowMemory | None = None
    """That rows take, where their size is free."""

    def weigher(self, *graphs: SizedGraph) -> Callable[[Hashable], int]:
        """Returns what weighs a row that these graphs run, by its size: see `RowMemory.weigher`."""
        sizes = self.manifest.data.sizes
        if self.memory is None or sizes is None:
            return lambda size: 1
        return self.memory.weigher([self.memory.of(graph) for graph in graphs], sizes, self.execution.batch_rows)


def load(
    directory: Path,
    settings: Settings,
    earlier: ProvedModel | None = None,
    interrupt: Interrupt | None = None,
    *,
    breath_seconds: float = 0.0,
) -> ProvedModel:
    """Opens a package, proves it on the provider that will run it, finds out how to run it best, and warms it up.

    Args:
        directory: the package.
        settings: names the provider, and what of the execution is set.
        earlier: an earlier version of the model: one with the same rows is run alike, so that its callers are not
            disturbed by measuring.
        interrupt: what stops it, while it runs graphs.
        breath_seconds: how long to wait before each session is opened.

    Raises:
        PackageError: the package is damaged, or its graphs do not answer as the trainer's did.
        OutOfMemory: there is not enough memory for a single row.
        EngineFailure: a graph could not be run, or was interrupted.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
    """
    package = ModelPackage.open_to_run(directory)
    manifest = package.manifest
    graphs = OpenedGraphs(package, settings.provider, interrupt, breath_seconds=breath_seconds)
    place = TuningPlace.here(manifest.fingerprint, graphs.provider)
    execution = decide(place, settings, _execution_of(earlier, manifest), graphs.open_runner)
    probes = package.read_probes()

    def open_proof() -> Proof:
        sessions, open_float32 = graphs.settle(execution.threads), partial(graphs.open_float32, execution.threads)
        return Proof(manifest, probes, graphs.provider, sessions, interrupt, open_float32=open_float32)

    proof, (exactness, row_seconds), rows = _in_batches(open_proof, graphs.close, execution.batch_rows, directory)
    proof.give_back_memory()
    give_back()  # opening graphs took twice their weights for a moment
    execution = execution._replace(batch_rows=rows)
    memory = None if manifest.data.sizes is None else _memory(proof, graphs.provider, execution, settings)
    return ProvedModel(manifest, proof.engine, graphs.provider, exactness, execution, row_seconds, memory)


def _in_batches(
    open_proof: Callable[[], Proof], close_graphs: Callable[[], None], rows: int, directory: Path
) -> tuple[Proof, tuple[Exactness, float], int]:
    """Proves graphs in batches of so many rows, or of fewer where memory runs out.

    Returns:
        The proof, its outcome, and the rows of its batches.
    """
    while True:
        proof = open_proof()
        try:
            return proof, proof.in_batches(rows), rows
        except (OutOfMemory, MemoryError) as exc:
            if rows < 2:
                raise OutOfMemory(f"{directory}: there is not enough memory for a batch of one row") from exc
        _log.warning("%s: a batch of %d rows ran out of memory, trying half as many", directory, rows)
        rows //= 2
        del proof
        close_graphs()  # with what ONNX Runtime took for the larger batch


def _execution_of(earlier: ProvedModel | None, manifest: Manifest) -> Execution | None:
    """Returns how an earlier version is run, if its rows are like those of the new one.

    Batches of many small rows would be batches of many large ones, for which there may be no memory.
    """
    if earlier is None or _rows_of(earlier.manifest) != _rows_of(manifest):
        return None
    return earlier.execution


def _rows_of(manifest: Manifest) -> tuple[object, ...]:
    smallest = manifest.data.smallest
    return smallest.axes, smallest.dtype, manifest.latent.smallest.axes


def _memory(proof: Proof, provider: Provider, execution: Execution, settings: Settings) -> RowMemory:
    """Returns the memory that rows take, and what one of the batches that run side by side may take."""
    encoder, decoder = proof.memory_of("encoder"), proof.memory_of("decoder")
    free = available_bytes() if provider == "cpu" else None  # of a GPU's memory ONNX Runtime says nothing
    budget = settings.activation_bytes or int(_MEMORY_SHARE * (free or 0) / execution.executors)
    return RowMemory(encoder, decoder, budget)


class OpenedGraphs:
    """A package's graphs on the first provider that takes them; providers that were passed over are logged.

    Args:
        package: that holds them.
        wanted: which provider.
        interrupt: what stops the runs of `open_runner`.
        breath_seconds: how long to wait before each session is opened.

    Raises:
        PackageError: a graph cannot be loaded, or is not what the manifest says.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
    """

    def __init__(
        self,
        package: ModelPackage,
        wanted: ProviderChoice,
        interrupt: Interrupt | None = None,
        *,
        breath_seconds: float = 0.0,
    ) -> None:
        self._package = package
        self._interrupt = interrupt
        self._breath_seconds = breath_seconds
        self._opened: dict[Placement, dict[str, Session]] = {}
        *preferred, self.provider = providers(wanted)
        for provider in preferred:
            try:
                self._opened[Placement(provider)] = self._sessions(Placement(provider))
                self.provider = provider
                return
            except StartupError as exc:
                _log.warning("not on %s: %s", provider, exc)

    def open(self, threads: int) -> dict[str, Session]:
        """Returns the graphs' sessions with so many threads; opens them once."""
        placement = Placement.on(self.provider, threads)
        if placement not in self._opened:
            self._opened[placement] = self._sessions(placement)
        return self._opened[placement]

    def open_runner(self, threads: int) -> RunRows:
        """Returns what runs the pair on so many rows, to measure it."""
        sessions, manifest = self.open(threads), self._package.manifest
        engine = Engine(manifest, sessions["encoder"], sessions["decoder"])

        def run(rows: int) -> None:
            engine.encode([DataRows(manifest.data.smallest.blank(rows))], self._interrupt)
            latents = LatentRows(manifest.latent.smallest.blank(rows), "data")
            engine.decode([latents], self._interrupt)

        return run

    def settle(self, threads: int) -> dict[str, Session]:
        """Returns the graphs' sessions with so many threads, and lets go of all others and their memory."""
        sessions = self.open(threads)
        self._opened = {Placement.on(self.provider, threads): sessions}
        return sessions

    def open_float32(self, threads: int) -> tuple[Session, Session]:
        """Returns the encoder and the decoder in float32 that a package in half precision has too.

        Raises:
            PackageError: the package has no such graphs or was removed, or they cannot be loaded.
            StartupError: the provider does not take them.
        """
        pair = self._package.manifest.float32
        if pair is None:
            raise PackageError(f"{self._package.directory}: holds no graphs in float32")
        placement = Placement.on(self.provider, threads)
        encoder, decoder = (Session(self._package.read(it), it, placement) for it in (pair.encoder, pair.decoder))
        return encoder, decoder

    def close(self) -> None:
        """Lets go of all sessions; they are opened anew where they are asked for."""
        self._opened = {}

    def _sessions(self, placement: Placement) -> dict[str, Session]:
        sessions = {}
        for name, graph in self._package.manifest.served_graphs.items():
            time.sleep(self._breath_seconds)
            sessions[name] = Session(self._package.read(graph), graph, placement)
        return sessions
