"""The parts of one tensor, collected."""

import torch
from torch import Tensor


class Collected:
    """Joins parts into one tensor as they come.

    A list of them would cost more than their size, because many small tensors keep the memory between them from being
    used again.

    Args:
        size: of the whole along the axis.
        axis: along which the parts lie one after another.
    """

    def __init__(self, size: int, axis: int = 0) -> None:
        self._size = size
        self._axis = axis
        self._end = 0
        self._whole: Tensor | None = None

    def add(self, part: Tensor) -> None:
        """Adds the next part."""
        if self._whole is None:
            shape = [*part.shape]
            shape[self._axis] = self._size
            self._whole = torch.empty(shape, dtype=part.dtype, device=part.device)
        count = part.shape[self._axis]
        self._whole.narrow(self._axis, self._end, count).copy_(part)
        self._end += count

    @property
    def whole(self) -> Tensor:
        """All parts."""
        if self._whole is None or self._end != self._size:
            raise AssertionError(f"{self._end} of {self._size} were collected. This is a bug.")
        return self._whole
