import argparse
from pathlib import Path

import pytest

from training.settings.config import Config
from training.settings.flags import GROUPS, add_flags, add_settings, settings_of
from training.settings.resolve import parse_config


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return parser


def test_every_setting_has_a_flag_in_its_order_and_is_explained(parser: argparse.ArgumentParser) -> None:
    flags = [action.dest for action in parser._actions if action.dest in Config.model_fields]
    assert flags == list(Config.model_fields)
    assert GROUPS.keys() <= Config.model_fields.keys()
    assert all(field.description for field in Config.model_fields.values())
    said = " ".join(parser.format_help().split())
    assert "--average-decay DECAY decay per step of the running average of the weights" in said
    assert (
        "--network NETWORK kind of encoder and decoder: linear, mlp, gated-mlp, conv, pca-conv, grid "
        "(default: the preset's)" in said
    )
    assert "a cosine then lowers it to 1 %" in said
    assert "--seed SEED start of the run's random numbers; " in said
    assert "does not depend on it (default: 0)" in said


def test_what_flags_say_is_what_a_file_says(parser: argparse.ArgumentParser) -> None:
    asked = parser.parse_args([
        *("digits", "--hidden-sizes", "64,32", "--mixture-components", "auto", "--gradient-norm", "5"),
        *("--no-tensorboard", "--precision", "float32", "--kl-warmup", "0.5", "--compile"),
        *("--drop", "id, the date", "--train-classes", "usual"),
    ])  # fmt: skip
    config, required, given = settings_of(parser, asked)
    said = {"hidden_sizes": [64, 32], "mixture_components": "auto", "gradient_norm": 5.0, "tensorboard": False}
    said |= {"drop": ["id", "the date"], "train_classes": ["usual"]}
    said |= {"dataset": "digits", "precision": "float32", "kl_warmup": 0.5, "compile": True}
    assert required == said
    assert given == said.keys()
    assert config == parse_config(said)


def test_a_switch_of_a_preset_or_a_file_can_be_turned_off(parser: argparse.ArgumentParser, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("tensorboard = true\n")
    flags = ["mnist", "--no-binarised", "--config", str(tmp_path / "run.toml"), "--no-tensorboard"]
    config = settings_of(parser, parser.parse_args(flags)).config
    assert (config.binarised, config.tensorboard) == (False, False)


def test_the_settings_of_a_preset_that_was_named_are_required_but_not_given(parser: argparse.ArgumentParser) -> None:
    settings = settings_of(parser, parser.parse_args(["digits", "--preset", "table", "--seed", "1"]))
    assert settings.required["latent_size"] == 8
    assert settings.given == {"dataset", "seed"}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--hidden-sizes", "wide"], "argument --hidden-sizes: must be whole numbers with commas between them"),
        (["--mixture-components", "many"], "argument --mixture-components: must be a whole number or auto, not 'many'"),
        (["--blocks", "2"], "vae: --blocks: has no effect with the network mlp, only with conv"),
        (["--kl-warmup", "1"], "vae: --kl-warmup: input should be less than 1, not 1.0"),
        (["--epochs", "3", "--steps", "9"], "vae: --steps: takes the place of --epochs: give one of them"),
        (["--precision", "half"], "argument --precision: invalid choice: 'half'"),
    ],
)
def test_what_cannot_be_is_named_by_its_flag(
    parser: argparse.ArgumentParser, flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        settings_of(parser, parser.parse_args(["digits", *flags]))
    assert complaint in capsys.readouterr().err


def test_a_verb_may_take_some_flags_alone() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, ["dataset", "data_dir", "binarised"])
    assert vars(parser.parse_args([])) == {"data_dir": None, "binarised": None}
