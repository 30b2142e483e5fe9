"""Whether mirrored pictures look like the others: by how well principal components of some describe others."""

from math import ceil, sqrt

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.principal import Principal, principal

ROWS = 2000  # maximum number of rows that are looked at, spread evenly
VALUES = 64 * 64 * 3  # of a picture, about the maximum that is looked at
LEAST_ROWS = 64  # of fewer too little could be said
COMPONENTS, ROWS_OF_A_COMPONENT, VALUES_OF_A_COMPONENT = 64, 8, 8
MOST_ADDED = 1.05  # to the squared error by mirroring


def mirrored(rows: Tensor) -> Tensor:
    """Returns pictures [rows, height, width, channels], each mirrored left to right."""
    return rows.flip(2)


def with_mirrored(rows: Tensor, mirrors: bool) -> Tensor:
    """Returns the rows; and mirrored ones behind them, if the run shows those too."""
    return torch.cat([rows, mirrored(rows)]) if mirrors else rows


def looks_symmetric(rows: Tensor) -> bool:
    """Whether mirrored rows would pass for rows.

    Components are fitted on half of the rows. If these leave hardly more of the others when the others are mirrored,
    the rows are about as likely either way round. Photographs are, with a ratio of 1.00 to 1.02; handwritten digits
    (1.5 to 1.8) and clothes whose shoes all point one way (1.3) are not.

    Args:
        rows: pictures [rows, height, width, channels].
    """
    every = ceil(sqrt(rows[0].numel() / VALUES))  # of large pictures so many pixels are enough
    some = rows[:: -(-len(rows) // ROWS), ::every, ::every].float()
    if len(some) < LEAST_ROWS:
        return False
    fitted_on, others = some[::2], some[1::2]
    values = fitted_on[0].numel()
    components = max(1, min(COMPONENTS, len(fitted_on) // ROWS_OF_A_COMPONENT, values // VALUES_OF_A_COMPONENT))
    fitted = principal(fitted_on.flatten(1).numpy(), components)
    return _left(mirrored(others), fitted) <= MOST_ADDED * _left(others, fitted)


def _left(rows: Tensor, fitted: Principal) -> float:
    """Returns the sum of squares that the components leave of rows."""
    away = rows.flatten(1).numpy() - fitted.mean
    along: npt.NDArray[np.float64] = away @ fitted.components.T
    return float(np.square(away).sum() - np.square(along).sum())
