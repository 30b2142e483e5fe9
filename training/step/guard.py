"""The gradient guard: a step without a finite loss and gradient changes nothing; several in a row end the epoch."""

from math import isfinite

from vaeserve.errors import TrainingError

STREAK = 5  # steps in a row: a single one may be due to a rare batch, this many are due to the weights
ROLLBACKS = 3  # of a run, each at half the learning rate


class Diverged(TrainingError):
    """The weights no longer give a finite gradient."""


class Guard:
    """Counts the steps of an epoch that were skipped.

    Args:
        steps: of the epoch. If they are fewer than STREAK, a streak is all of them.
    """

    def __init__(self, steps: int) -> None:
        self.skipped = 0
        self._longest = min(STREAK, steps)
        self._streak = 0

    def admits(self, loss: float, gradient_norm: float) -> bool:
        """Whether a step may be taken.

        Raises:
            Diverged: none of the last STREAK steps may be taken, or none of the epoch's.
        """
        if isfinite(loss) and isfinite(gradient_norm):
            self._streak = 0
            return True
        self.skipped += 1
        self._streak += 1
        if self._streak >= self._longest:
            raise Diverged(f"{self._streak} steps in a row without a finite loss and gradient")
        return False

    def check_end(self, loss: float) -> None:
        """Checks the loss of rows that a step was taken on, by the weights at the end of the epoch.

        Raises:
            Diverged: it is not finite.
        """
        if not isfinite(loss):
            raise Diverged("the epoch's last step left no finite loss")
