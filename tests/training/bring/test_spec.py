from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.linear_pair import SPEC
from tests.support.servers import ROOT
from training.bring.spec import Spec, parse_spec
from training.settings.resolve import read_settings_file
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec, ImageFit

IMAGE: dict[str, object] = {"name": "faces", "kind": "image", "shape": [4, 6, 3], "latent_shape": 8}


def spec(**changes: object) -> Spec:
    return parse_spec(IMAGE | changes, "spec.toml")


def test_a_file_says_what_the_fields_are(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(
        'name = "faces"\nkind = "image"\nshape = [4, 6, 3]\nlatent_shape = 8\nlayout = "NCHW"\nscaled_to = [-1, 1]\n'
        'encoder_outputs = ["ignored", "mean", "log_variance"]\n'
    )
    found = parse_spec(read_settings_file(path), "spec.toml")
    assert found == spec(layout="NCHW", scaled_to=[-1, 1], encoder_outputs=["ignored", "mean", "log_variance"])
    assert found.data == DataSpec(kind="image", shape=(4, 6, 3), dtype="uint8", minimum=0, maximum=255)
    assert found.latent_shape == (8,)
    assert (found.center, found.scale) == (127.5, 127.5)


def test_the_spec_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "bring-your-own.md").read_text()
    (tmp_path / "faces.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    assert parse_spec(read_settings_file(tmp_path / "faces.toml"), "spec").own_shape == (3, 64, 64)
    keys = {key for row in page.splitlines() if row.startswith("| `") for key in row.split("|")[1].split("`")[1::2]}
    assert keys == set(Spec.model_fields)


def test_how_pictures_were_fitted_reaches_the_manifest() -> None:
    assert spec(image_fit={"fit": "pad", "channels": 3}).data.image_fit == ImageFit(fit="pad", channels=3)


@pytest.mark.parametrize(("layout", "shape"), [("NHWC", (4, 6, 3)), ("NCHW", (3, 4, 6)), ("flat", (72,))])
def test_the_shape_of_the_pairs_own_rows(layout: str, shape: tuple[int, ...]) -> None:
    assert spec(layout=layout).own_shape == shape


def test_data_as_it_is() -> None:
    assert (spec().center, spec().scale) == (0, 1)
    assert (spec(scaled_to=[0, 1]).center, spec(scaled_to=[0, 1]).scale) == (0, 255)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layuot": "NCHW"}, "layuot: no such key; did you mean layout?"),
        ({"#": 1}, "#: no such key; known are name, version, title, kind,"),
        ({"kind": "sound"}, "kind: input should be 'image' or 'table', not 'sound'"),
        (
            {"image_fit": {"fit": "zoom"}},
            "image_fit.fit: input should be 'crop', 'pad', 'stretch' or 'exact', not 'zoom'",
        ),
        ({"image_fit": {"fit": "crop", "channels": 1}}, "image_fit converts to 1 channels, shape has 3"),
        ({"name": "../up"}, "name: string should match pattern"),
        ({"version": 0}, "version: must be a whole number from 1 to 2147483647, or next, not 0"),
        ({"shape": [4, 6]}, "image rows cannot have shape [4, 6]"),
        ({"shape": [4, 6, 0]}, "shape.2: input should be greater than 0, not 0"),
        ({"dtype": "float32"}, "minimum and maximum: must be given for float32 data"),
        ({"minimum": 9.0, "maximum": 3.0}, "minimum must be below maximum"),
        ({"maximum": float("nan")}, "maximum: input should be a finite number, not nan"),
        ({"latent_shape": []}, "latent_shape: has too few values: []"),
        ({"kind": "table", "shape": 4, "layout": "NCHW", "minimum": 0.0, "maximum": 1.0}, "layout: NCHW is for images"),
        ({"columns": ["a"]}, "1 columns cannot name image rows of shape [4, 6, 3]"),
        ({"scaled_to": [1]}, "scaled_to.1: has too few values: [1]"),
        ({"scaled_to": [1, 0]}, "scaled_to: the first must be below the second"),
        ({"encoder_outputs": ["mean"]}, "encoder_outputs: must name, once each, mean, log_variance; or moments"),
        ({"encoder_outputs": ["mean", "mean", "log_variance"]}, "encoder_outputs: must name, once each"),
        ({"posterior": "none", "encoder_outputs": ["moments"]}, "encoder_outputs: must name, once each, mean; others"),
        ({"decoder_outputs": ["data"]}, "decoder_outputs: must name, once each, expectation; or logits; or"),
        ({"likelihood": "bernoulli", "likelihood_scale": 1.0}, "likelihood_scale: is for a gaussian"),
        ({"likelihood_scale": 1e-9}, "likelihood_scale: input should be greater than or equal to 0.003"),
        ({"tolerance": 1.0}, "tolerance: input should be less than or equal to 0.01"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TrainingError) as raised:
        spec(**changes)
    assert str(raised.value).startswith(f"spec.toml: {complaint}")
    assert "\n" not in str(raised.value)


def test_a_key_that_is_missing() -> None:
    with pytest.raises(TrainingError, match=r"^spec: kind: is missing$"):
        parse_spec({"name": "faces"}, "spec")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(changes=st.dictionaries(st.sampled_from(sorted(Spec.model_fields)), VALUES, max_size=3))
def test_any_values_are_a_spec_or_one_line(changes: dict[str, object]) -> None:
    try:
        parse_spec(SPEC | changes, "spec")
    except TrainingError as exc:
        assert "\n" not in str(exc)
        assert str(exc).startswith("spec: ")
