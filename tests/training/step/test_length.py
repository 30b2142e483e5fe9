import pytest

from training.settings.config import Config
from training.step.length import Continuation, in_epochs, is_over
from vaeserve.errors import TrainingError


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3)])
def test_a_run_ends_with_the_epoch_that_reaches_its_steps(steps: int, epochs: int) -> None:
    config = in_epochs(Config(steps=steps, batch_size=128), 1437)  # 12 steps an epoch
    assert (config.steps, config.epochs) == (steps, epochs)


def test_epochs_stay_where_no_steps_were_set() -> None:
    assert in_epochs(Config(epochs=7), 1437) == Config(epochs=7)


def test_more_epochs_than_a_run_can_have_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"^--steps: would be 2,000,000 epochs of 100 rows, at most 1,000,000 are"):
        in_epochs(Config(steps=2_000_000), 100)


def test_a_run_is_over_when_it_has_its_epochs_or_has_waited_long_enough() -> None:
    config = Config(epochs=10, patience=30, batch_size=100)

    def over(epoch: int, best: int | None, *continued: int, settings: Config = config) -> bool:
        return is_over(settings, 950, epoch, best, [Continuation(epoch=at, progress=1.0) for at in continued])

    assert [over(epoch, 2) for epoch in (3, 4, 5, 10)] == [False, False, True, True]  # 10 steps an epoch
    assert not over(9, None)  # nothing was validated
    assert over(10, None)
    assert not over(9, 2, settings=Config(epochs=10, batch_size=100))
    assert [over(epoch, 2, 4, 5) for epoch in (5, 7, 8)] == [False, False, True]  # it began anew after epoch 5
