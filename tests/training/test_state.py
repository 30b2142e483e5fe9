from training.config import Config
from training.data import Dataset
from training.state import start


def test_weight_decay_spares_biases(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    weighed, spared = state.optimizer.param_groups
    assert weighed["weight_decay"] == tiny.weight_decay
    assert spared["weight_decay"] == 0
    names = {parameter: name for name, parameter in state.networks.named_parameters()}
    assert all(names[parameter].endswith("bias") for parameter in spared["params"])
    assert all(names[parameter].endswith("weight") for parameter in weighed["params"])
