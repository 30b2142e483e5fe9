"""What a manifest says of one row of data, checked by itself."""

from typing import Any

import pytest

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec, ImageFit
from vaeserve.package.sizes import PictureSize, PictureSizes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": (8, 8)}, "image rows cannot have shape"),
        ({"kind": "table"}, "table rows cannot have shape"),
        ({"minimum": 16}, "minimum must be below maximum"),
        ({"maximum": 256}, r"uint8 data must lie within \[0, 255\]"),
        ({"minimum": -1}, r"uint8 data must lie within \[0, 255\]"),
        ({"missing_allowed": True}, "missing_allowed needs float32"),
        ({"image_fit": {"fit": "crop", "channels": 3}}, "image_fit converts to 3 channels, shape has 1"),
        ({"image_fit": {"fit": "zoom"}}, "Input should be 'crop', 'pad'"),
        ({"shape": (8, 0, 1)}, "greater than 0"),
        ({"maximum": float("inf")}, "finite"),
        ({"columns": ("a",)}, r"1 columns cannot name image rows of shape \[8, 8, 1\]"),
    ],
)
def test_specs_of_no_possible_data(change: dict[str, Any], said: str) -> None:
    digits = {"kind": "image", "shape": (8, 8, 1), "dtype": "uint8", "minimum": 0, "maximum": 16}
    assert DataSpec.model_validate(digits).value_count == 64
    with pytest.raises(ValueError, match=said):
        DataSpec.model_validate({**digits, **change})


def test_a_table_may_name_its_columns() -> None:
    table = {"kind": "table", "shape": (2,), "dtype": "float32", "minimum": -1, "maximum": 1}
    assert DataSpec.model_validate({**table, "columns": ("age", "TSH, mU/l")}).columns == ("age", "TSH, mU/l")
    assert DataSpec.model_validate(table).columns == ()
    with pytest.raises(ValueError, match=r"3 columns cannot name table rows of shape \[2\]"):
        DataSpec.model_validate({**table, "columns": ("a", "b", "c")})


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8, 4)])
def test_only_grey_or_coloured_rows_come_from_pictures(shape: tuple[int, ...]) -> None:
    def spec(shape: tuple[int, ...]) -> DataSpec:
        fit = ImageFit(fit="crop")
        return DataSpec(kind="image", shape=shape, dtype="uint8", minimum=0, maximum=255, image_fit=fit)

    assert spec((8, 8, 3)).image_fit == ImageFit(fit="crop", channels=None)
    with pytest.raises(ValueError, match="image_fit is for images in grey or colour"):
        spec(shape)


def test_what_is_sampled_has_one_of_the_models_sizes() -> None:
    sizes = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 64))
    free = DataSpec(kind="image", shape=("height", "width", 3), sizes=sizes, dtype="uint8", minimum=0, maximum=255)
    assert free.size_to_sample(None, "s", "free") == (32, 64)
    assert free.size_to_sample(PictureSize(16, 24), "s", "free") == (16, 24)
    with pytest.raises(InvalidInput, match=r"^s: is 25 x 16 pixels, height and width must be multiples of 8 in"):
        free.size_to_sample(PictureSize(16, 25), "s", "free")
    fixed = free.at(PictureSize(16, 24))
    assert fixed.size_to_sample(None, "s", "fixed") is None
    with pytest.raises(InvalidInput, match=r"^s: is for models of many sizes; every row of fixed has shape"):
        fixed.size_to_sample(PictureSize(16, 24), "s", "fixed")
