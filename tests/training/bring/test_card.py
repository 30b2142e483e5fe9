from tests.support import linear_pair
from training.bring.card import card_of, spec_preprocessing
from training.bring.spec import Spec, parse_spec


def spec(**changes: object) -> Spec:
    return parse_spec(linear_pair.SPEC | changes, "spec")


def test_the_card_says_what_a_row_is_and_how_well_it_comes_back() -> None:
    text = card_of(spec(title="Two numbers"), {"squared_error": 0.25, "mean_row_squared_error": 1.5})
    assert text.startswith(f"# {linear_pair.SPEC['name']}\n\nTwo numbers\n")
    assert "squared error of 0.25 " in text
    assert "has 1.5." in text


def test_without_real_rows_no_error_is_stated() -> None:
    text = card_of(spec(), {})
    assert "squared error" not in text
    assert "made elsewhere" in text


def test_a_missing_posterior_is_stated() -> None:
    assert "without a posterior" not in card_of(spec(), {})
    assert "without a posterior" in card_of(spec(posterior="none", encoder_outputs=["mean"]), {})


def test_scaling_is_described() -> None:
    assert "scaled to [-1, 1]" in spec_preprocessing(spec(minimum=0, maximum=4, scaled_to=(-1, 1)))
    assert "data as it is" in spec_preprocessing(spec(scaled_to=None))
