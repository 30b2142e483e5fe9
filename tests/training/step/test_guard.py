import pytest

from training.step.guard import STREAK, Diverged, Guard


def test_a_streak_is_bounded_and_a_good_step_ends_it() -> None:
    guard = Guard(100)
    for _ in range(3):
        assert not any(guard.admits(float("nan"), 1.0) for _ in range(STREAK - 1))
        assert guard.admits(1.0, 1.0)
    assert not any(guard.admits(1.0, float("inf")) for _ in range(STREAK - 1))
    with pytest.raises(Diverged, match="5 steps in a row"):
        guard.admits(1.0, float("inf"))
    assert guard.skipped == 3 * (STREAK - 1) + STREAK


def test_an_epoch_of_few_steps_is_a_streak() -> None:
    guard = Guard(2)
    assert not guard.admits(float("nan"), 1.0)
    with pytest.raises(Diverged, match="2 steps in a row"):
        guard.admits(float("nan"), 1.0)


def test_an_epoch_that_ends_without_a_finite_loss_is_none() -> None:
    Guard(1).check_end(1.0)
    with pytest.raises(Diverged, match="last step left no finite loss"):
        Guard(1).check_end(float("nan"))
