"""Proof: a model's graphs answer as the trainer's did, in the batches that will be served."""

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

_EXACTNESS_SECONDS = 0.4  # for all graphs of a model; the least that is tried may take longer
_SHORT_SECONDS = 0.5  # what takes less is run again: a first run lays out memory


class Proof:
    """What the graphs have to answer, and how nearly.

    Args:
        manifest: the package's.
        probes: inputs and the trainer's answers, by `graph.tensor`.
        provider: what runs the sessions.
        sessions: by graph name, all that a server runs.
        interrupt: what stops it.

    Raises:
        PackageError: there are no probes of the encoder.
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
        """What runs them."""

    def in_batches(self, rows: int) -> tuple[Exactness, float]:
        """Proves the graphs in batches of so many rows at most, and warms them up.

        Returns:
            What was seen of the bits, and the seconds that a row takes in such a batch when every graph runs.

        Raises:
            PackageError: an answer differs from the trainer's.
            OutOfMemory: there is no memory for so many rows.
            EngineFailure: a graph could not be run, or was interrupted.
        """
        for name, session in self._sessions.items():
            self._replay(name, session, rows)
        exactness = self._exactness(rows)
        return exactness, self._warm_up(rows)

    def give_back_memory(self) -> None:
        """Makes ONNX Runtime give back what the proof took, which takes a last run of each graph."""
        for name, session in self._sessions.items():
            feeds, references = self._probes_of(name)
            one = {tensor: probe[:1] for tensor, probe in feeds.items()}
            session.run(one, list(references), self._interrupt, gives_back=True)

    def _replay(self, name: str, session: Session, most_rows: int) -> None:
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
        for first in range(0, rows.pop(), most_rows):
            given, expected = ({key: probe[first : first + most_rows] for key, probe in side.items()} for side in sides)
            answers = session.run(given, list(expected), self._interrupt)
            for result in compare(dict(zip(expected, answers, strict=True)), expected, self._reach, tolerance):
                if not result.passed:
                    raise PackageError(
                        f"probe {name}.{result.output} on {self._provider}: differs from the trainer's by"
                        f" {result.largest_difference:.3g}, allowed is {result.bound}"
                    )

    def _exactness(self, batch_rows: int) -> Exactness:
        """Runs every graph in batches of several sizes; what one leaves of the time, others get."""
        found: list[Exactness] = []
        end = time.monotonic() + _EXACTNESS_SECONDS
        for name, session in self._sessions.items():
            feeds, references = self._probes_of(name)
            run = partial(session.run, outputs=list(references), interrupt=self._interrupt)
            share = (end - time.monotonic()) / (len(self._sessions) - len(found))
            found.append(probe_exactness(run, feeds, batch_rows, share))
        return Exactness(all(one.is_exact for one in found), max(one.largest_difference for one in found))

    def _probes_of(self, name: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """Returns a graph's inputs and the trainer's answers."""
        graph = self._manifest.served_graphs[name]
        return self._tensors(name, graph.inputs), self._tensors(name, graph.outputs)

    def _tensors(self, name: str, specs: Sequence[TensorSpec]) -> dict[str, Array]:
        """Returns the probes of a graph's inputs or outputs, which must be of the tensors' own type and shape."""
        found = {}
        for spec in specs:
            probe = self._probes.get(f"{name}.{spec.name}")
            if probe is None or probe.dtype.name != spec.dtype or probe.shape[1:] != spec.row_shape:
                file = self._manifest.probes.file
                raise PackageError(f"{file}: holds no {name}.{spec.name} of {spec.dtype} {list(spec.shape)}")
            found[spec.name] = probe
        return found

    def _warm_up(self, batch_rows: int) -> float:
        """Runs every graph at both ends of the batch sizes. Returns the seconds that a row takes in a full batch."""
        seconds = 0.0
        for rows in sorted({1, batch_rows}):
            data = [DataRows(self._manifest.data.blank(rows))]
            self.engine.encode(data, self._interrupt)
            for prior in self._manifest.priors:
                drawn = PriorRows(RowRange(0, 0, rows), 1.0, "data", prior=prior.name)
                self.engine.decode([drawn], self._interrupt)
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
