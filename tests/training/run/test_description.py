"""What a run's package says of itself."""

import pytest

from training.data import Dataset
from training.run import checkpoint
from training.run.description import about_of, provenance_of
from training.settings.config import Config
from training.step.state import start
from vaeserve.package.contents import Likelihood


@pytest.mark.parametrize(("name", "expected"), [(None, "digits"), ("mine", "mine")])
def test_the_card_and_the_provenance_name_the_run_and_its_data(
    tiny: Config, dataset: Dataset, name: str | None, expected: str
) -> None:
    config = tiny.model_copy(update={"name": name})
    last = checkpoint.take(config, dataset, start(config, dataset))
    about = about_of(last, dataset, Likelihood(family="binomial", constants={"trials": 16}), "standard")
    assert last.name == about.name == expected
    assert (about.train_rows, about.test_rows) == (len(dataset.train), len(dataset.test))
    assert about.likelihood == "binomial (trials 16)"
    assert about.networks == f"{config.network} {'-'.join(map(str, config.hidden_sizes))}"
    provenance = provenance_of(last, dataset)
    assert (provenance.dataset, provenance.data_sha256) == ("digits", dataset.sha256)
    assert provenance.config["epochs_done"] == 0
