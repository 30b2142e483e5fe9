from training.data import Dataset
from training.models import MODELS, kind_named
from training.models.vae import KIND as VAE
from training.networks import NETWORKS, network_of
from training.settings.config import Config
from training.settings.resolve import parse_config
from training.step.state import build


def test_settings_are_plain_values() -> None:
    assert Config().to_settings()["hidden_sizes"] == "256-128"
    settings = Config(dataset="/home/someone/rows.csv", data_dir="/home/someone", image_size=(28, 32)).to_settings()
    assert (settings["dataset"], settings["image_size"]) == ("rows.csv", "28x32")
    assert "someone" not in str(settings)
    assert all(value is None or isinstance(value, str | int | float) for value in settings.values())


def test_what_was_changed_could_be_a_file_of_settings() -> None:
    settings = {"latent_size": 3, "hidden_sizes": [300, 300], "image_size": [32, 48], "dataset": "some/where/photos"}
    lists = {"drop": ("id", "the, date"), "train_classes": ("usual",)}
    config = parse_config({**settings, **lists, "data_dir": "/home/someone"})
    assert (config.to_settings()["drop"], Config().to_settings()["drop"]) == ("id,the, date", None)
    assert config.changed() == {
        **settings,
        **lists,
        "hidden_sizes": (300, 300),
        "image_size": (32, 48),
        "dataset": "photos",
    }
    assert parse_config(dict(config.changed())).changed() == config.changed()
    assert Config().changed() == {}


def test_epochs_that_follow_from_steps_are_not_what_was_changed() -> None:
    assert Config(steps=900, epochs=12).changed() == {"steps": 900}


def test_what_is_registered_as_used_is_used(dataset: Dataset) -> None:
    fields = Config.model_fields.keys()
    for name, entry in MODELS.items():
        assert fields >= {*entry.fixed, *entry.uses}
        assert ("epochs" in entry.uses) == (kind_named(name).step is not None)
        assert ("beta" in entry.uses) == (kind_named(name).posterior == "gaussian")
        assert ("samples" in entry.uses) == (kind_named(name).takes_samples)
    for name, uses in NETWORKS.items():
        made = Config(network=name, hidden_sizes=(8, 4), latent_size=4)
        for key, value in {"hidden_sizes": (16, 4), "blocks": 2}.items():
            pair = (build(VAE, made, dataset), build(VAE, made.model_copy(update={key: value}), dataset))
            before, after = ([weights.shape for weights in networks.parameters()] for networks in pair)
            assert (before != after) == (key in uses)


def test_a_name_is_a_file_in_every_registry() -> None:
    for name in MODELS:
        assert (kind_named(name).step is None) != (kind_named(name).fit is None)
    for name in NETWORKS:
        assert callable(network_of(name).encoder)
        assert callable(network_of(name).decoder)
