"""Proof: checks that a model's graphs give the trainer's answers, in batches as large as those that will be served."""

import time
from collections.abc import Mapping
from functools import partial

import numpy as np

from serving.engine.engine import Engine
from serving.engine.half import HalfEngine, OpenPair
from serving.engine.providers import Provider
from serving.engine.rows import DataRows, PriorRows, ReconstructRows
from serving.engine.session import Session
from serving.interrupt import Interrupt
from serving.models.exactness import Exactness, probe_exactness
from serving.models.probe_sets import ProbeSet, probe_sets
from serving.models.row_memory import GraphMemory, learned
from vaeserve.errors import PackageError
from vaeserve.machine.memory import peak_bytes
from vaeserve.package.manifest import Manifest
from vaeserve.package.probes import compare, reach_of
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize, axis_length
from vaeserve.rows.noise import RowRange
from vaeserve.slices import rows_that_fit

_EXACTNESS_SECONDS = 0.4  # for all graphs of a model; the minimum that is tried may take longer
_SHORT_SECONDS = 0.5  # a shorter run is repeated, because a first run also allocates memory
_REPLAY_SECONDS = 4.0  # of probes of many sizes, whose rows may take long; the first rows are always tried
_MEMORY_FACTOR = 2  # the sides of the picture that shows how memory grows, over those of the smallest


class Proof:
    """Compares the graphs' answers with the trainer's, within the manifest's tolerance.

    Args:
        manifest: of the package.
        probes: inputs and the trainer's answers, by `graph.tensor`.
        provider: what runs the sessions.
        sessions: all that a server runs, by graph name.
        interrupt: stops the proof.
        open_float32: opens the pair in float32, if the package has it beside the pair that is proved.

    Raises:
        PackageError: the package does not hold probes of every graph.
    """

    def __init__(
        self,
        manifest: Manifest,
        probes: Mapping[str, Array],
        provider: Provider,
        sessions: Mapping[str, Session],
        interrupt: Interrupt | None,
        *,
        open_float32: OpenPair,
    ) -> None:
        self._manifest, self._provider = manifest, provider
        self._sessions, self._interrupt = sessions, interrupt
        self._sets = probe_sets(manifest, probes)
        self._reach = reach_of(manifest.data, self._sets["encoder"][0].inputs["data"])
        priors = {prior.name: sessions[f"prior.{prior.name}"] for prior in manifest.priors if prior.graph}
        pair = sessions["encoder"], sessions["decoder"], sessions.get("likelihood"), priors
        in_float32 = manifest.float32 is not None
        self.engine = HalfEngine(manifest, *pair, open_float32=open_float32) if in_float32 else Engine(manifest, *pair)
        """Runs the same sessions."""

    def in_batches(self, rows: int) -> tuple[Exactness, float]:
        """Proves the graphs in batches of at most so many rows, and warms them up.

        Where pictures have many sizes, the rows are of the smallest one, and larger rows count as several.

        Returns:
            Whether answers depend on the batch, and the seconds that a row takes in such a batch when every graph runs.

        Raises:
            PackageError: an answer differs too much from the trainer's.
            OutOfMemory: so many rows need more memory than there is.
            EngineFailure: a graph could not be run, or was interrupted.
        """
        end = time.monotonic() + _REPLAY_SECONDS
        for name, session in self._sessions.items():
            for number, probes in enumerate(self._sets[name]):
                if not number or time.monotonic() < end:
                    self._replay(name, session, probes, self._at_once(probes.size, rows), end)
        exactness = self._exactness(rows)
        return exactness, self._warm_up(rows)

    def give_back_memory(self) -> None:
        """Runs each graph a last time, on one row, so that ONNX Runtime gives back the memory of the proof."""
        for name, session in self._sessions.items():
            _, inputs, outputs = self._sets[name][0]
            self._run_one(session, inputs, outputs)

    def memory_of(self, name: str) -> GraphMemory:
        """Returns how much memory a graph takes for a row of any size, learned from a row of two sizes each."""
        sizes, graph = self._manifest.data.sizes, self._manifest.served_graphs[name]
        if sizes is None:
            raise AssertionError("rows of one shape need no estimate. This is a bug.")
        side = min(_MEMORY_FACTOR * sizes.minimum, sizes.maximum)
        peaks = []
        for size in (sizes.smallest, PictureSize(side, side)):
            inputs, outputs = self._made_up(name, size, 1), [spec.name for spec in graph.outputs]
            run = partial(self._run_one, self._sessions[name], inputs, dict.fromkeys(outputs))
            peaks.append((size, peak_bytes(run)))
        return learned(graph.footprints, peaks)

    def _run_one(self, session: Session, inputs: Mapping[str, Array], outputs: Mapping[str, object]) -> None:
        one = {tensor: probe[:1] for tensor, probe in inputs.items()}
        session.run(one, list(outputs), self._interrupt, gives_back=True)

    def _at_once(self, size: PictureSize | None, batch_rows: int) -> int:
        """Returns how many rows of a size are as much as a batch of the smallest rows."""
        return rows_that_fit(batch_rows, self._manifest.data.weight(size))

    def _replay(self, name: str, session: Session, probes: ProbeSet, at_once: int, end: float) -> None:
        """Runs a graph on the trainer's inputs, and compares every output with the trainer's answers.

        Args:
            name: of the graph.
            session: that runs it.
            probes: of rows of one shape.
            at_once: maximum rows of a batch.
            end: when no further batch begins, where pictures have many sizes.
        """
        tolerance = self._manifest.probes.tolerances.get(self._provider)
        if tolerance is None:
            raise PackageError(f"{self._manifest.probes.file}: states no tolerance for {self._provider}")
        for first in range(0, probes.rows, at_once):
            if first and probes.size is not None and time.monotonic() > end:
                return
            part = slice(first, first + at_once)
            feeds, expected = ({key: probe[part] for key, probe in side.items()} for side in probes[1:])
            answers = session.run(feeds, list(expected), self._interrupt)
            for result in compare(dict(zip(expected, answers, strict=True)), expected, self._reach, tolerance):
                if not result.passed:
                    of_size = "" if probes.size is None else f" of pictures of {probes.size}"
                    raise PackageError(
                        f"probe {name}.{result.output}{of_size} on {self._provider}: differs from the trainer's by"
                        f" {result.largest_difference:.3g}, allowed is {result.bound}"
                    )

    def _exactness(self, batch_rows: int) -> Exactness:
        """Runs every graph in batches of several sizes. Time that one graph does not use is left to the next ones.

        Where pictures have many sizes, rows of each size that is tried are run in batches of their own. A size of which
        a batch holds only one row is exact.
        """
        results: list[Exactness] = []
        end = time.monotonic() + _EXACTNESS_SECONDS
        tries = [(name, inputs) for name in self._sessions for inputs in self._exactness_inputs(name, batch_rows)]
        for number, (name, (size, feeds)) in enumerate(tries):
            outputs = [spec.name for spec in self._manifest.served_graphs[name].outputs]
            run = partial(self._sessions[name].run, outputs=outputs, interrupt=self._interrupt)
            share = (end - time.monotonic()) / (len(tries) - number)
            results.append(probe_exactness(run, feeds, self._at_once(size, batch_rows), share))
        return Exactness(
            all(one.is_exact for one in results), max((one.largest_difference for one in results), default=0.0)
        )

    def _exactness_inputs(self, name: str, batch_rows: int) -> list[tuple[PictureSize | None, Mapping[str, Array]]]:
        """Returns the inputs to try a graph on, by the size of their pictures."""
        inputs: dict[PictureSize | None, Mapping[str, Array]] = {one.size: one.inputs for one in self._sets[name]}
        sizes = self._manifest.data.sizes
        if sizes is None:
            return list(inputs.items())
        inputs.setdefault(sizes.default, {})
        several = [size for size in inputs if self._at_once(size, batch_rows) > 1]
        return [(size, inputs[size] or self._made_up(name, size or sizes.smallest, 8)) for size in several]

    def _made_up(self, name: str, size: PictureSize, rows: int) -> dict[str, Array]:
        """Returns random inputs of a graph for pictures of a size."""
        random = np.random.default_rng(0)
        made: dict[str, Array] = {}
        for spec in self._manifest.served_graphs[name].inputs:
            shape = (rows, *(axis_length(axis, size) for axis in spec.row_axes))
            floats = random.standard_normal(shape, np.float32)
            made[spec.name] = random.integers(0, 256, shape, np.uint8) if spec.dtype == "uint8" else floats
        return made

    def _warm_up(self, batch_rows: int) -> float:
        """Runs every graph in the smallest and the largest batch. Returns the seconds that a row takes in that."""
        seconds = 0.0
        sizes, blank = self._manifest.data.sizes, self._manifest.data.smallest.blank
        size = None if sizes is None else sizes.smallest
        for rows in sorted({1, batch_rows}):
            if rows > 1:  # every graph has answered the probes on a single row, or has been tried on one
                self.engine.encode([DataRows(blank(rows), size=size)], self._interrupt)
            for prior in self._manifest.priors:
                prior_rows = PriorRows(RowRange(0, 0, rows), 1.0, "data", prior=prior.name, size=size)
                self.engine.decode([prior_rows], self._interrupt)
            data = ReconstructRows(blank(rows), size=size)
            seconds = self._reconstruct(data)
            if rows == batch_rows and seconds < _SHORT_SECONDS:
                seconds = min(seconds, self._reconstruct(data))
        return seconds / batch_rows

    def _reconstruct(self, data: ReconstructRows) -> float:
        """Returns how long it takes to encode and decode some rows, in seconds."""
        began = time.perf_counter()
        self.engine.reconstruct([data], self._interrupt)
        return time.perf_counter() - began
