"""Proof: checks that a model's graphs give the trainer's answers, in batches as large as those that will be served."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from serving.engine.engine import Engine
from serving.engine.providers import Provider
from serving.engine.rows import DataRows, PriorRows, ReconstructRows
from serving.engine.session import Session
from serving.interrupt import Interrupt
from serving.models.exactness import Exactness, probe_exactness
from vaeserve.errors import PackageError
from vaeserve.package.contents import TensorSpec
from vaeserve.package.manifest import Manifest
from vaeserve.package.probes import compare, reach_of
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import RowRange

_EXACTNESS_SECONDS = 0.4  # for all graphs of a model; the minimum that is tried may take longer
_SHORT_SECONDS = 0.5  # a shorter run is repeated, because a first run also allocates memory


class Proof:
    """Compares the graphs' answers with the trainer's, within the manifest's tolerance.

    Args:
        manifest: of the package.
        probes: inputs and the trainer's answers, by `graph.tensor`.
        provider: what runs the sessions.
        sessions: all that a server runs, by graph name.
        interrupt: stops the proof.

    Raises:
        PackageError: the package has no probes of the encoder.
    """

    def __init__(
        self,
        manifest: Manifest,
        probes: Mapping[str, Array],
        provider: Provider,
        sessions: Mapping[str, Session],
        interrupt: Interrupt | None,
    ) -> None:
        self._manifest, self._probes, self._provider = manifest, probes, provider
        self._sessions, self._interrupt = sessions, interrupt
        self._reach = reach_of(manifest.data, self._tensors("encoder", manifest.graphs.encoder.inputs)["data"])
        priors = {prior.name: sessions[f"prior.{prior.name}"] for prior in manifest.priors if prior.graph}
        self.engine = Engine(manifest, sessions["encoder"], sessions["decoder"], sessions.get("likelihood"), priors)
        """Runs the same sessions."""

    def in_batches(self, rows: int) -> tuple[Exactness, float]:
        """Proves the graphs in batches of at most so many rows, and warms them up.

        Returns:
            Whether answers depend on the batch, and the seconds that a row takes in such a batch when every graph runs.

        Raises:
            PackageError: an answer differs too much from the trainer's.
            OutOfMemory: so many rows need more memory than there is.
            EngineFailure: a graph could not be run, or was interrupted.
        """
        for name, session in self._sessions.items():
            self._replay(name, session, rows)
        exactness = self._exactness(rows)
        return exactness, self._warm_up(rows)

    def give_back_memory(self) -> None:
        """Runs each graph a last time, on one row, so that ONNX Runtime gives back the memory of the proof."""
        for name, session in self._sessions.items():
            feeds, references = self._probes_of(name)
            one = {tensor: probe[:1] for tensor, probe in feeds.items()}
            session.run(one, list(references), self._interrupt, gives_back=True)

    def _replay(self, name: str, session: Session, batch_rows: int) -> None:
        """Runs a graph on the trainer's inputs, and compares every output with the trainer's answers."""
        file = self._manifest.probes.file
        tolerance = self._manifest.probes.tolerances.get(self._provider)
        if tolerance is None:
            raise PackageError(f"{file}: states no tolerance for {self._provider}")
        own = [probe for key, probe in self._probes.items() if key.rpartition(".")[0] == name]
        rows = {len(probe) if probe.ndim else 0 for probe in own}
        if len(rows) != 1 or rows == {0}:
            raise PackageError(f"{file}: holds no probes of the {name}, or not as many rows of each tensor")
        sides = self._probes_of(name)
        for first in range(0, rows.pop(), batch_rows):
            part = slice(first, first + batch_rows)
            feeds, expected = ({key: probe[part] for key, probe in side.items()} for side in sides)
            answers = session.run(feeds, list(expected), self._interrupt)
            for result in compare(dict(zip(expected, answers, strict=True)), expected, self._reach, tolerance):
                if not result.passed:
                    raise PackageError(
                        f"probe {name}.{result.output} on {self._provider}: differs from the trainer's by"
                        f" {result.largest_difference:.3g}, allowed is {result.bound}"
                    )

    def _exactness(self, batch_rows: int) -> Exactness:
        """Runs every graph in batches of several sizes. Time that one graph does not use is left to the next ones."""
        results: list[Exactness] = []
        end = time.monotonic() + _EXACTNESS_SECONDS
        for name, session in self._sessions.items():
            feeds, references = self._probes_of(name)
            run = partial(session.run, outputs=list(references), interrupt=self._interrupt)
            share = (end - time.monotonic()) / (len(self._sessions) - len(results))
            results.append(probe_exactness(run, feeds, batch_rows, share))
        return Exactness(all(one.is_exact for one in results), max(one.largest_difference for one in results))

    def _probes_of(self, name: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """Returns a graph's inputs and the trainer's answers."""
        graph = self._manifest.served_graphs[name]
        return self._tensors(name, graph.inputs), self._tensors(name, graph.outputs)

    def _tensors(self, name: str, specs: Sequence[TensorSpec]) -> dict[str, Array]:
        """Returns the probes of a graph's inputs or outputs, each of its tensor's type and shape."""
        probes = {}
        for spec in specs:
            probe = self._probes.get(f"{name}.{spec.name}")
            if probe is None or probe.dtype.name != spec.dtype or probe.shape[1:] != spec.row_axes:
                file = self._manifest.probes.file
                raise PackageError(f"{file}: holds no {name}.{spec.name} of {spec.dtype} {list(spec.shape)}")
            probes[spec.name] = probe
        return probes

    def _warm_up(self, batch_rows: int) -> float:
        """Runs every graph in the smallest and the largest batch. Returns the seconds that a row takes in that."""
        seconds = 0.0
        for rows in sorted({1, batch_rows}):
            data = [DataRows(self._manifest.data.blank(rows))]
            self.engine.encode(data, self._interrupt)
            for prior in self._manifest.priors:
                prior_rows = PriorRows(RowRange(0, 0, rows), 1.0, "data", prior=prior.name)
                self.engine.decode([prior_rows], self._interrupt)
            seconds = self._reconstruct(rows)
            if seconds < _SHORT_SECONDS:
                seconds = min(seconds, self._reconstruct(rows))
        return seconds / batch_rows

    def _reconstruct(self, rows: int) -> float:
        """Returns how long it takes to encode and decode so many rows, in seconds."""
        data = ReconstructRows(self._manifest.data.blank(rows))
        began = time.perf_counter()
        self.engine.reconstruct([data], self._interrupt)
        return time.perf_counter() - began
