import pytest

from training.data import Dataset
from training.objective import LOSS
from training.settings.config import Config
from training.step.state import start


def test_weight_decay_spares_biases(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    weighed, spared, scales = state.optimizers[LOSS].param_groups
    assert scales["params"] == []
    assert weighed["weight_decay"] == tiny.weight_decay
    assert spared["weight_decay"] == 0
    names = {parameter: name for name, parameter in state.networks.named_parameters()}
    assert all(names[parameter].endswith("bias") for parameter in spared["params"])
    assert all(names[parameter].endswith("weight") for parameter in weighed["params"])


@pytest.mark.parametrize(("learning_rate", "rate_factor"), [(5e-4, 40.0), (3e-2, 1.0)])
def test_a_scale_has_a_rate_of_its_own(
    tiny: Config, dataset: Dataset, learning_rate: float, rate_factor: float
) -> None:
    state = start(tiny.model_copy(update={"likelihood": "gaussian", "learning_rate": learning_rate}), dataset)
    *others, scales = state.optimizers[LOSS].param_groups
    assert scales["params"] == list(state.networks.decoder.likelihood.parameters())
    assert scales["rate_factor"] == pytest.approx(rate_factor)
    assert [group["rate_factor"] for group in others] == [1, 1]
    assert sum(len(group["params"]) for group in (*others, scales)) == len(state.weights)
