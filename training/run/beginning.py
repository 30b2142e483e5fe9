"""The state that a run begins with: weights from the seed, and from the data where network or kind asks for that."""

from training.data import Dataset, training_rows
from training.networks import network_of
from training.settings.config import Config
from training.step.best import update_best
from training.step.device import near
from training.step.inputs import InputSampling
from training.step.loop import validate
from training.step.schedule import term_weights
from training.step.state import State, start


def first_state(config: Config, dataset: Dataset) -> State:
    """Returns the state that a run begins with; of a kind without steps, fitted at once, it is the last.

    Raises:
        TrainingError: the networks are too large, or the kind cannot be fitted.
    """
    state = start(config, dataset)
    kind, begin_network = state.kind, getattr(network_of(config.network), "begin", None)
    if begin_network is not None:
        begin_network(state.networks, training_rows(dataset), config.mirror)
    if kind.begin is not None:
        kind.begin(state.networks, training_rows(dataset), state.generator)
    if kind.fit is not None:
        kind.fit(state.networks, training_rows(dataset))
        state.epoch = config.epochs
    state.average.load_state_dict(state.networks.state_dict())
    if begin_network is not None:
        sampling, held_out = InputSampling.of(kind, config, dataset), near(dataset.validation, state.generator.device)
        update_best(config, state, validate(sampling, term_weights(config, state.kl_weight), held_out, state))
    return state
