import pytest

from training.data import Dataset
from training.settings.config import Config
from training.step.schedule import schedule_at, steered
from training.step.state import start


def test_the_schedules(dataset: Dataset) -> None:
    config, state = Config(), start(Config(), dataset)
    assert schedule_at(config, state, 0, 1000).kl_weight == 0
    assert schedule_at(config, state, 50, 1000).kl_weight == pytest.approx(0.5)
    assert schedule_at(config, state, 100, 1000).kl_weight == 1
    assert schedule_at(config, state, 0, 1000).learning_rate == pytest.approx(config.learning_rate / 20)
    assert schedule_at(config, state, 20, 1000).learning_rate == pytest.approx(config.learning_rate, rel=0.01)
    assert schedule_at(config, state, 999, 1000).learning_rate == pytest.approx(config.learning_rate / 100, rel=0.01)
    assert schedule_at(config, state, 0, 1000).average_decay == pytest.approx(0.1)
    assert schedule_at(config, state, 999, 1000).average_decay == config.average_decay


def test_no_warm_up_means_none(dataset: Dataset) -> None:
    config = Config(kl_warmup=0.0, learning_rate_warmup=0.0)
    state = start(config, dataset)
    assert schedule_at(config, state, 0, 1000).kl_weight == 1
    assert schedule_at(config, state, 0, 1000).learning_rate == config.learning_rate


@pytest.mark.parametrize(("kl", "grows"), [(12.0, 1), (6.0, 0), (3.0, -1)])
def test_the_weight_grows_where_the_kl_is_above_its_target(kl: float, grows: int) -> None:
    found = steered(1.0, kl, 6.0)
    assert (found > 1) - (found < 1) == grows


def test_the_weight_moves_by_a_bounded_share_and_stays_within_bounds() -> None:
    assert steered(1.0, 1e9, 6.0) == pytest.approx(1.01, rel=1e-3)
    assert steered(1000.0, 1e9, 6.0) == 1000
    assert steered(1e-3, 0.0, 6.0) == 1e-3
