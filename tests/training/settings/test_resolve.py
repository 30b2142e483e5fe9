from pathlib import Path

import numpy as np
import pytest

from training.likelihoods import FAMILIES
from training.models import MODELS
from training.networks import NETWORKS
from training.settings.config import Config
from training.settings.resolve import (
    PRESETS,
    complete,
    parse_config,
    preset_for,
    preset_names,
    read_settings_file,
    refuse_changes,
    refuse_unused,
)
from vaeserve.errors import TrainingError


def test_settings_override_defaults() -> None:
    config = parse_config({"latent_size": 2, "hidden_sizes": [32, 16], "learning_rate": 1})
    assert (config.latent_size, config.hidden_sizes, config.learning_rate) == (2, (32, 16), 1.0)
    assert config.seed == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latents": 8}, "run.toml: latents: no such key; did you mean latent_size?"),
        ({"epochs": "many"}, "run.toml: epochs: input should be a valid integer, not 'many'"),
        ({"epochs": 1.5}, "run.toml: epochs: "),
        ({"epochs": True}, "run.toml: epochs: "),
        ({"epochs": 0}, "run.toml: epochs: input should be greater than or equal to 1, not 0"),
        ({"epochs": 10**400}, "run.toml: epochs: "),
        ({"epochs": 1 << 20_000}, "run.toml: epochs: input should be less than or equal to 1000000, not a number of"),
        ({"checkpoint_epochs": 10**7}, "run.toml: checkpoint_epochs: "),
        ({"threads": 2**31}, "run.toml: threads: input should be less than or equal to 1024, not 2147483648"),
        ({"data_dir": ""}, "run.toml: data_dir: string should have at least 1 character, not ''"),
        ({"latent_size": 2**17}, "run.toml: latent_size: "),
        (
            {"hidden_sizes": [10**12]},
            "run.toml: hidden_sizes.0: input should be less than or equal to 65536, not 10000",
        ),
        ({"hidden_sizes": [8] * 17}, "run.toml: hidden_sizes: has too many values: [8, 8, 8,"),
        ({"batch_size": 10**23}, "run.toml: batch_size: "),
        ({"seed": -1}, "run.toml: seed: "),
        ({"seed": 2**63}, "run.toml: seed: "),
        ({"kl_warmup": 1.0}, "run.toml: kl_warmup: "),
        ({"learning_rate": float("nan")}, "run.toml: learning_rate: "),
        ({"hidden_sizes": []}, "run.toml: hidden_sizes: "),
        ({"hidden_sizes": [16, "8"]}, "run.toml: hidden_sizes.1: "),
        ({"model": "lda"}, f"run.toml: model: must be one of {', '.join(MODELS)}, not 'lda'"),
        ({"network": "transformer"}, f"run.toml: network: must be one of {', '.join(NETWORKS)}, not 'transformer'"),
        ({"likelihood": "cauchy"}, f"run.toml: likelihood: must be one of {', '.join(FAMILIES)}, not 'cauchy'"),
        ({"beta": -1}, "run.toml: beta: input should be greater than or equal to 0, not -1"),
        ({"free_bits": 1e300}, "run.toml: free_bits: input should be less than or equal to 1000000, not 1e+300"),
        ({"target_rate": 0}, "run.toml: target_rate: input should be greater than 0, not 0"),
        ({"image_size": []}, "run.toml: image_size.0: has too few values: []"),
        ({"image_size": [28, 28, 3]}, "run.toml: image_size: has too many values: [28, 28, 3]"),
        ({"channels": 2}, "run.toml: channels: input should be 1 or 3, not 2"),
    ],
)
def test_a_wrong_setting_is_named_on_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError) as raised:
        parse_config(settings, "run.toml")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_wrong_setting_without_a_file_is_named_by_its_flag() -> None:
    with pytest.raises(TrainingError, match=r"^--latent-size: input should be greater than or equal to 1, not 0$"):
        parse_config({"latent_size": 0})
    with pytest.raises(TrainingError, match=r"^--hidden-sizes: input should be greater than or equal to 1, not 0$"):
        parse_config({"hidden_sizes": [8, 0]})
    with pytest.raises(TrainingError, match=r"^--image-size: has too many values: \[8, 8, 8\]$"):
        parse_config({"image_size": [8, 8, 8]})
    with pytest.raises(TrainingError, match=r"^DATA: string should have at least 1 character, not ''$"):
        parse_config({"dataset": ""})


def test_one_number_is_the_height_and_width_of_pictures() -> None:
    assert parse_config({"image_size": [28]}).image_size == (28, 28)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("epochs = 5\nhidden_sizes = [8]\n")
    assert parse_config(read_settings_file(path)) == Config(epochs=5, hidden_sizes=(8,))


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"epochs = " + b"9" * 5000])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"run\.toml: is not valid TOML"):
        read_settings_file(path)


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("epochs = " + "[" * 3000 + "]" * 3000)
    with pytest.raises(TrainingError, match=r"run\.toml: is nested too deeply$"):
        read_settings_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.toml: cannot be read: No such file"):
        read_settings_file(tmp_path / "none.toml")


def test_a_resumed_run_keeps_its_settings() -> None:
    saved = Config(seed=3, hidden_sizes=(8,))
    refuse_changes(saved, {"seed": 3, "hidden_sizes": [8]})
    with pytest.raises(TrainingError, match=r"^--latent-size: the run was started with 8, .* with 4"):
        refuse_changes(saved, {"seed": 3, "latent_size": 4})


def test_data_may_have_moved_when_a_run_is_resumed() -> None:
    saved = Config(dataset="old/rows.npy", seed=3)
    assert refuse_changes(saved, {"dataset": "/new/rows.npy"}) == saved.model_copy(update={"dataset": "/new/rows.npy"})


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_a_configuration(preset: str) -> None:
    config = parse_config(read_settings_file(PRESETS / f"{preset}.toml"), preset)
    assert preset == "digits" or config != Config()


@pytest.mark.parametrize(("dataset", "preset"), [("digits", "digits"), ("mnist", "mnist"), ("fashion-mnist", "mnist")])
def test_data_that_is_known_by_name_has_its_preset(dataset: str, preset: str) -> None:
    assert preset_for(dataset) == preset


@pytest.mark.parametrize("name", ["rows.csv", "ROWS.PARQUET"])
def test_a_file_of_columns_has_the_preset_of_tables(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert preset_for(str(path)) == "table"


def test_data_that_is_not_there_has_no_preset(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such file or folder"):
        preset_for(str(tmp_path / "rows.npz"))


@pytest.mark.parametrize("name", ["rows.npy", "rows.NPZ"])
def test_a_file_of_arrays_has_the_preset_of_what_it_holds(tmp_path: Path, name: str) -> None:
    path, pictures = tmp_path / name, np.zeros((40, 8, 8), np.uint8)
    for rows, preset in ((pictures, "images"), (pictures[..., None], "images"), (pictures[0], "table")):
        with path.open("wb") as file:
            if path.suffix == ".npy":
                np.save(file, rows)
            else:
                np.savez(file, train_labels=pictures, train=rows, test=rows)
        assert preset_for(str(path)) == preset
    path.write_bytes(path.read_bytes()[:9])
    assert preset_for(str(path)) == "table"


def test_a_folder_with_a_dot_in_its_name_holds_images(tmp_path: Path) -> None:
    folder = tmp_path / "photos.v2"
    folder.mkdir()
    assert preset_for(str(folder)) == "images"


def test_flags_override_a_preset_which_overrides_defaults() -> None:
    config = parse_config(complete({"dataset": "mnist", "epochs": 3}, None))
    assert (config.epochs, config.network, config.latent_size, config.blocks) == (3, "gated-mlp", 40, 1)
    assert parse_config(complete({"dataset": "mnist"}, "serve")).network == "conv"


def test_a_number_of_epochs_beats_steps_of_a_preset_and_the_other_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long.toml").write_text("steps = 900\nseed = 1\n")
    monkeypatch.setattr("training.settings.resolve.PRESETS", tmp_path)
    assert complete({}, "long") == {"steps": 900, "seed": 1}
    assert complete({"epochs": 3}, "long") == {"epochs": 3, "seed": 1}
    (tmp_path / "long.toml").write_text("epochs = 7\nseed = 1\n")
    assert complete({"steps": 90}, "long") == {"steps": 90, "seed": 1}


def test_a_model_brings_what_it_is_defined_with() -> None:
    config = parse_config(complete({"dataset": "mnist", "model": "pca"}, None))
    assert (config.network, config.likelihood) == ("linear", "gaussian")
    with pytest.raises(TrainingError, match=r"^--network: the model pca is defined with linear, not mlp$"):
        complete({"model": "pca", "network": "mlp"}, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "ae", "beta": 1.0}, "--beta: has no effect with the model ae, only with vae, iwae"),
        ({"model": "pca", "beta": 2.0}, "--beta: has no effect with the model pca, only with vae, iwae"),
        ({"model": "ae", "free_bits": 0.1}, "--free-bits: has no effect with the model ae, only with vae"),
        ({"model": "iwae", "free_bits": 0.1}, "--free-bits: has no effect with the model iwae, only with vae"),
        (
            {"model": "linear-ae", "samples": 2},
            "--samples: has no effect with the model linear-ae, only with vae, iwae",
        ),
        (
            {"model": "pca", "epochs": 9},
            "--epochs: has no effect with the model pca, only with linear-ae, ae, vae, iwae",
        ),
        ({"model": "pca", "learning_rate": 1e-3}, "--learning-rate: has no effect with the model pca, only with"),
        (
            {"model": "pca", "hidden_sizes": [8]},
            "--hidden-sizes: has no effect with the network linear, only with mlp,",
        ),
        ({"network": "mlp", "blocks": 2}, "--blocks: has no effect with the network mlp, only with conv"),
        (
            {"network": "linear", "hidden_sizes": [8]},
            "--hidden-sizes: has no effect with the network linear, only with",
        ),
        ({"dataset": "mnist", "blocks": 2}, "--blocks: has no effect with the network gated-mlp, only with conv"),
    ],
)
def test_a_setting_that_was_given_and_has_no_effect_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError) as raised:
        refuse_unused(parse_config(complete(given, None)), given)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("model", MODELS)
def test_what_a_preset_says_is_not_given(model: str, preset: str) -> None:
    given: dict[str, object] = {"model": model, "latent_size": 2, "seed": 1}
    given |= {"mixture_components": 0} if "mixture_components" in MODELS[model].uses else {}
    config = parse_config(complete(given, preset))
    refuse_unused(config, given)
    told = config.changed()
    refuse_unused(config, told)  # the card's settings can be given again
    again = parse_config(complete({**told, "dataset": "photos"}, "digits"))  # as the card says, with any data
    assert again.changed() == {**told, "dataset": "photos"}
