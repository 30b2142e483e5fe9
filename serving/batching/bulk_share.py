"""BulkShare: what bulk gets while interactive calls wait too. It counts weight."""

import math

from serving.batching.call import A, R
from serving.batching.lane import Lane

_SHARE = 8  # one row in so many is bulk's
_SURCHARGE_SHARE = 8  # one row's time in so many may be lost to bulk by batches that are not filled up


class BulkShare:
    """What is owed to the first bulk lane, and what bulk loses to batches that are not filled up.

    Args:
        batch_rows: maximum weight of a batch.
    """

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._unpaid = 0  # interactive weight that ran while bulk waited, and for which it has not had its share yet
        self._surcharges = 0.0  # cost of batches that were not filled up, less what the bulk rows since then allow

    def rows(self, first: Lane[R, A], more: int = 0) -> int:
        """Returns how many rows of the first bulk lane are owed to it, or will be after `more` interactive weight."""
        return min((self._unpaid + more) // (_SHARE - 1) // first.row_weight, first.next.rows)

    def owes_batch(self, first: Lane[R, A], more: int = 0) -> bool:
        """Whether all of the lane's next batch is owed to it. It saves up for that where it has to run alone."""
        return self.rows(first, more) == first.next.rows

    def fills(self, surcharge: float) -> bool:
        """Whether bulk fills a batch up that costs so much more than its interactive rows weigh."""
        return self._surcharges + _SURCHARGE_SHARE * surcharge > self._batch_rows

    def count(self, interactive: int, bulk: int, first: Lane[R, A]) -> None:
        """Counts the weights of a batch that the first lane could join. `first` is the first one from now on."""
        limit = (_SHARE - 1) * max(self._batch_rows, first.row_weight)
        self._unpaid = min(max(0, self._unpaid + interactive - (_SHARE - 1) * bulk), limit)

    def cost_apart(self, interactive: int, cost: float) -> int:
        """Returns what a batch of another key than the first lane's counts: what it costs, at most as a full batch.

        No row of the first lane could join it, so it is not made up for what it costs more than it weighs. Bulk rows of
        other lanes, which could, take nothing from what is owed to the first lane.
        """
        return max(interactive, math.ceil(min(cost, self._batch_rows)))

    def count_surcharge(self, surcharge: float, bulk: int) -> None:
        """Counts what a batch cost more than it weighed, if it was not filled up, and the weight of its bulk rows."""
        self._surcharges = max(0.0, self._surcharges + _SURCHARGE_SHARE * surcharge - bulk)

    def forget(self) -> None:
        """Forgets everything, because no bulk call waits."""
        self._unpaid, self._surcharges = 0, 0.0
