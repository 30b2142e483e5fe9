"""Trial rows: data that a pair is tried on, given by its maker or drawn."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.bring.spec import Spec
from training.probes import REAL
from vae.errors import TrainingError, innermost
from vae.files import AnyArray
from vae.manifest import DataSpec

WIDEST = 1e6  # range within which random values still mean something


def trial_rows(rows: npt.ArrayLike | None, spec: Spec) -> Tensor:
    """Returns rows to try a pair on [rows, *shape], checked against the spec; random ones where none are given.

    Raises:
        TrainingError: they are not what the spec says, or none can be drawn.
    """
    data = spec.data
    if rows is not None:
        try:
            return _checked(np.asarray(rows), data)
        except (RuntimeError, TypeError, ValueError) as exc:  # a tensor that wants gradients, rows of two lengths
            raise TrainingError(f"rows: are no array: {innermost(exc)}") from exc
    width = data.maximum - data.minimum
    if width > WIDEST:
        raise TrainingError(
            f"rows: must be given, since values of [{data.minimum:g}, {data.maximum:g}] drawn blindly say nothing"
        )
    values = data.minimum + width * torch.rand(REAL, *data.shape, generator=torch.Generator().manual_seed(0))
    return values.round().to(torch.uint8) if data.dtype == "uint8" else values


def _checked(rows: AnyArray, data: DataSpec) -> Tensor:
    if not rows.ndim or not len(rows):
        raise TrainingError("rows: holds none")
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
