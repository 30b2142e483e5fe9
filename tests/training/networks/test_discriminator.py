import pytest
import torch

from training.data import Dataset
from training.networks.discriminator import PENALTY, Adversaries, Discriminator, losses_of, squared_slopes
from training.settings.config import Config
from training.step.state import start


@pytest.fixture
def judge(dataset: Dataset) -> Discriminator:
    networks = start(Config(model="gan", hidden_sizes=(16, 8), latent_size=3), dataset).networks
    assert isinstance(networks, Adversaries)
    return networks.discriminator


def test_features_have_one_unit_in_every_row(judge: Discriminator, dataset: Dataset) -> None:
    rows = dataset.train[:4]
    features = judge(rows).features
    torch.testing.assert_close(features.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.var(1, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(judge(rows[:1]).log_odds, judge(rows).log_odds[:1])  # a row sees no other


def test_slopes_are_those_of_finite_differences(judge: Discriminator, dataset: Dataset) -> None:
    judged = judge(dataset.train[:2])
    slopes = squared_slopes(judged)
    steps = 0.01 * torch.eye(64).reshape(64, 8, 8, 1)
    for row, squared in zip(judged.rows.detach(), slopes, strict=True):
        up, down = (judge(judge.center + judge.scale * (row + sign * steps)).log_odds for sign in (1, -1))
        torch.testing.assert_close(((up - down) / 0.02).square().sum(), squared, rtol=1e-2, atol=0)
    slopes.sum().backward()  # type: ignore[no-untyped-call]  # a penalty is lowered, so it has a gradient itself
    assert all(weight.grad is not None for weight in judge.body.parameters())


def test_a_row_of_data_is_paired_with_a_decoded_row_of_every_set(judge: Discriminator, dataset: Dataset) -> None:
    with torch.inference_mode():
        data, one, other = (judge(dataset.train[5 * set_ : 5 * set_ + 5]) for set_ in range(3))
        both, single = losses_of(data, one, other), (losses_of(data, one), losses_of(data, other))
    lead = data.log_odds - one.log_odds
    torch.testing.assert_close(single[0].generator, -torch.sigmoid(-lead).log())
    torch.testing.assert_close(single[0].discriminator, -torch.sigmoid(lead).log())
    for name in both._fields:
        expected = (getattr(single[0], name) + getattr(single[1], name)) / 2
        torch.testing.assert_close(getattr(both, name), expected)


def test_the_discriminator_alone_pays_for_slopes(judge: Discriminator, dataset: Dataset) -> None:
    data, decoded = judge(dataset.train[:5]), judge(dataset.train[5:10])
    with torch.inference_mode():
        free = losses_of(judge(dataset.train[:5]), judge(dataset.train[5:10]))
    penalised, slopes = losses_of(data, decoded), squared_slopes(data) + squared_slopes(decoded)
    torch.testing.assert_close(penalised.generator, free.generator)
    torch.testing.assert_close(penalised.discriminator - free.discriminator, PENALTY / 2 * slopes)


def test_where_no_gradients_are_computed_there_are_no_slopes(judge: Discriminator, dataset: Dataset) -> None:
    with torch.inference_mode():
        assert squared_slopes(judge(dataset.train[:4])).tolist() == [0, 0, 0, 0]
