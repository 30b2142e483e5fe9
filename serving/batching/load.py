"""Load: a number of rows of one weight. Batches and queues hold a weight, so a heavy row counts as several."""

from typing import NamedTuple

from vaeserve.slices import rows_that_fit


class Load(NamedTuple):
    """Rows that weigh the same."""

    rows: int
    row_weight: int = 1
    """Weight of one of them, in light rows."""

    @property
    def weight(self) -> int:
        """Weight of all of them."""
        return self.rows * self.row_weight

    def fills(self, batch_rows: int) -> bool:
        """Whether they are a full batch."""
        return self.rows == rows_that_fit(batch_rows, self.row_weight)
