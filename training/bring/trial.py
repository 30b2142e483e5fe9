"""The trial of a pair: the rows that it is run on, real or random, and those on which a graph's answers are off."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.bring.spec import Spec
from training.export.probes import REAL, Probe, TensorArrays, kinds_of
from vaeserve.errors import TrainingError, innermost
from vaeserve.files import AnyArray
from vaeserve.package.contents import Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import Reach, compare, reach_of

WIDEST = 1e6  # random values from a wider range mean nothing


class Trial(NamedTuple):
    """A pair's inputs and answers, and how closely graphs must agree with them."""

    data: DataSpec
    has_real_rows: bool
    """Whether the author provided rows; they are random otherwise."""
    probes: Mapping[str, Probe]
    """By graph name."""
    tolerance: Tolerance

    @property
    def reach(self) -> Reach:
        """How far apart values of data lie."""
        return reach_of(self.data, self.probes["encoder"].inputs["data"])

    def missed(self, output: str, answers: TensorArrays, references: TensorArrays) -> list[int]:
        """Returns the rows on which an output lies further from its reference than the tolerance allows."""
        return [
            row
            for row in range(len(references[output]))
            for comparison in compare(
                select_rows(answers, [row]), select_rows(references, [row]), self.reach, self.tolerance
            )
            if comparison.output == output and not comparison.passed
        ]

    def named(self, graph: str, rows: Sequence[int]) -> str:
        """Returns how many of each kind of a graph's probe rows these are, in words."""
        source = "given" if self.has_real_rows else "random"
        kinds = (f"{source} rows", "random rows", "flat rows" if self.data.kind == "image" else "extreme rows")
        if graph == "decoder":
            kinds = (f"latents of {source} rows", "draws from N(0, I)", "latents far out")
        counts, every = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
        kind_of = [kind for kind, count in zip(kinds, kinds_of(self.data), strict=True) for _ in range(count)]
        for row, kind in enumerate(kind_of):
            every[kind] += 1
            counts[kind] += row in rows
        return " and ".join(f"{count} of {every[kind]} {kind}" for kind, count in counts.items() if count)


def select_rows(arrays: TensorArrays, rows: Sequence[int]) -> TensorArrays:
    """Returns some rows of every array."""
    return {name: array[list(rows)] for name, array in arrays.items()}


def trial_rows(rows: npt.ArrayLike | None, spec: Spec) -> Tensor:
    """Returns rows to try a pair on [rows, *shape], checked against the spec; random rows for None.

    Raises:
        TrainingError: they contradict the spec, or none can be drawn.
    """
    data = spec.data
    if rows is not None:
        try:
            return _checked(np.asarray(rows), data)
        except (RuntimeError, TypeError, ValueError) as exc:  # a tensor that requires gradients, rows of two lengths
            raise TrainingError(f"rows: are not an array: {innermost(exc)}") from exc
    width = data.maximum - data.minimum
    if width > WIDEST:
        raise TrainingError(
            f"rows: must be given: values drawn at random from [{data.minimum:g}, {data.maximum:g}] say nothing"
        )
    values = data.minimum + width * torch.rand(REAL, *data.shape, generator=torch.Generator().manual_seed(0))
    return values.round().to(torch.uint8) if data.dtype == "uint8" else values


def _checked(rows: AnyArray, data: DataSpec) -> Tensor:
    if not rows.ndim or not len(rows):
        raise TrainingError("rows: there are none")
    rows = rows[:REAL]
    if rows.shape[1:] != data.shape:
        raise TrainingError(f"rows: are of shape {list(rows.shape[1:])}, and the spec says {list(data.shape)}")
    if rows.dtype.kind not in ("iu" if data.dtype == "uint8" else "iuf"):
        raise TrainingError(f"rows: are {rows.dtype}, and the spec says {data.dtype}")
    inside = (rows >= data.minimum) & (rows <= data.maximum)  # NaN is not
    if not inside.all():
        row = int(np.flatnonzero(~inside.reshape(len(rows), -1).all(1))[0])
        raise TrainingError(f"rows: row {row} holds a value that is not within [{data.minimum:g}, {data.maximum:g}]")
    return torch.from_numpy(rows.astype(data.dtype))
