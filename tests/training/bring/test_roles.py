import pytest

from tests.support.linear_pair import SPEC
from training.bring.spec import Spec, parse_spec
from vaeserve.errors import TrainingError


def spec(**changes: object) -> Spec:
    return parse_spec(SPEC | {"encoder_outputs": None} | changes, "spec")


@pytest.mark.parametrize(
    ("posterior", "names", "roles"),
    [
        ("gaussian", ["log_variance", "z", "mean"], ("log_variance", "ignored", "mean")),
        ("gaussian", ["whatever"], ("moments",)),
        ("none", ["whatever"], ("mean",)),
        ("none", ["z", "mean", "log_variance"], ("ignored", "mean", "ignored")),
    ],
)
def test_outputs_of_an_encoders_graph(posterior: str, names: list[str], roles: tuple[str, ...]) -> None:
    assert spec(posterior=posterior).encoder.roles_of("e", len(names), names) == roles


def test_outputs_of_an_encoders_module() -> None:
    assert spec().encoder.roles_of("e", 2) == ("mean", "log_variance")
    assert spec().encoder.roles_of("e", 1) == ("moments",)
    assert spec(posterior="none").encoder.roles_of("e", 1) == ("mean",)


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["whatever"], ("expectation",)),
        (["logits"], ("logits",)),
        (["hidden", "expectation", "data"], ("ignored", "expectation", "data")),
        (["parameters", "expectation", "data"], ("parameters", "expectation", "data")),
    ],
)
def test_outputs_of_a_decoders_graph(names: list[str], roles: tuple[str, ...]) -> None:
    assert spec().decoder.roles_of("d", len(names), names) == roles


def test_outputs_of_a_decoders_module() -> None:
    assert spec().decoder.roles_of("d", 1) == ("expectation",)
    assert spec().decoder.roles_of("d", 2) == ("data", "expectation")
    assert spec().decoder.roles_of("d", 3) == ("data", "expectation", "parameters")


def test_what_the_spec_says_comes_first() -> None:
    settings = spec(encoder_outputs=["log_variance", "mean"], decoder_outputs=["ignored", "logits"])
    assert settings.encoder.roles_of("e", 2, ["mean", "log_variance"]) == ("log_variance", "mean")
    assert settings.decoder.roles_of("d", 2, ["data", "expectation"]) == ("ignored", "logits")
    with pytest.raises(TrainingError, match=r"^e: answers 1 tensor \(a\), and encoder_outputs names 2$"):
        settings.encoder.roles_of("e", 1, ["a"])


@pytest.mark.parametrize("posterior", ["gaussian", "none"])
def test_what_is_not_clear_is_asked_for(posterior: str) -> None:
    settings = spec(posterior=posterior)
    with pytest.raises(
        TrainingError, match=r"^e: answers 2 tensors \(a, b\), and it is not clear .* encoder_outputs must"
    ):
        settings.encoder.roles_of("e", 2, ["a", "b"])
    with pytest.raises(
        TrainingError, match=r"^d: answers 4 tensors, .* decoder_outputs must name, once each, expectat"
    ):
        settings.decoder.roles_of("d", 4)
