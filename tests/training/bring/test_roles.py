import pytest

from tests.linear_pair import SPEC
from training.bring.roles import decoder_roles, encoder_roles
from training.bring.spec import Spec, parse_spec
from vae.errors import TrainingError


def spec(**changes: object) -> Spec:
    return parse_spec(SPEC | {"encoder_outputs": None} | changes, "spec")


@pytest.mark.parametrize(
    ("posterior", "names", "roles"),
    [
        ("gaussian", ["log_variance", "z", "mean"], ("log_variance", "ignored", "mean")),
        ("gaussian", ["whatever"], ("moments",)),
        ("none", ["whatever"], ("mean",)),
        ("none", ["z", "mean"], ("ignored", "mean")),
    ],
)
def test_outputs_of_an_encoders_graph(posterior: str, names: list[str], roles: tuple[str, ...]) -> None:
    assert encoder_roles("e", spec(posterior=posterior), len(names), names) == roles


def test_outputs_of_an_encoders_module() -> None:
    assert encoder_roles("e", spec(), 2) == ("mean", "log_variance")
    assert encoder_roles("e", spec(), 1) == ("moments",)
    assert encoder_roles("e", spec(posterior="none"), 1) == ("mean",)


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
    assert decoder_roles("d", spec(), len(names), names) == roles


def test_outputs_of_a_decoders_module() -> None:
    assert decoder_roles("d", spec(), 1) == ("expectation",)
    assert decoder_roles("d", spec(), 3) == ("data", "expectation", "parameters")


def test_what_the_spec_says_comes_first() -> None:
    told = spec(encoder_outputs=["log_variance", "mean"], decoder_outputs=["ignored", "logits"])
    assert encoder_roles("e", told, 2, ["mean", "log_variance"]) == ("log_variance", "mean")
    assert decoder_roles("d", told, 2, ["data", "expectation"]) == ("ignored", "logits")


@pytest.mark.parametrize("posterior", ["gaussian", "none"])
def test_what_is_not_clear_is_asked_for(posterior: str) -> None:
    with pytest.raises(TrainingError, match=r"^e: answers 2 tensors \(a, b\), and it is not clear .* encoder_outputs"):
        encoder_roles("e", spec(posterior=posterior), 2, ["a", "b"])
    with pytest.raises(TrainingError, match=r"^d: answers 2 tensors \(a, b\), .* decoder_outputs in their order"):
        decoder_roles("d", spec(), 2, ["a", "b"])
