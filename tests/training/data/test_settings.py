import pytest

from training.data.settings import check_settings
from training.settings.source import Source
from vaeserve.errors import TrainingError


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(dataset="digits", data_dir="there"), "--data-dir: is for mnist and fashion-mnist, not for digits"),
        (Source(dataset="digits", image_size=(8, 8)), "--image-size: is for a folder of pictures"),
        (Source(dataset="digits", image_fit="pad"), "--image-fit: is for a folder of pictures"),
        (Source(dataset="digits", channels=3), "--channels: is for a folder of pictures"),
        (Source(dataset="digits", target="y"), "--target: is for a file of columns, not for digits"),
        (Source(dataset="digits", drop=("y",)), "--drop: is for a file of columns, not for digits"),
        (Source(dataset="digits", group_column="y"), "--group-column: is for a file of columns, not for digits"),
        (Source(dataset="digits", group_folders=True), "--group-folders: is for a folder of pictures, not for digits"),
        (
            Source(dataset="digits", skip_bad=True),
            "--skip-bad: is for a folder of pictures or a file of arrays or a file of columns, not for digits",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(source: Source, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        check_settings(source, "digits")


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(TrainingError, match="--image-fit: exact needs --image-size"):
        check_settings(Source(dataset="faces", image_fit="exact"), "pictures")
    with pytest.raises(TrainingError, match="--image-fit: pad needs --image-size"):
        check_settings(Source(dataset="faces", image_fit="pad"), "pictures")
    with pytest.raises(TrainingError, match="--image-size: 65536 x 65536 pixels are more than the 100000000 of any"):
        check_settings(Source(dataset="faces", image_size=(65536, 65536)), "pictures")
    with pytest.raises(TrainingError, match=r"--binarised: is for images, not for a\.csv"):
        check_settings(Source(dataset="a.csv", binarised=True), "columns")


def test_settings_that_fit_pass() -> None:
    check_settings(Source(dataset="faces", image_size=(8, 8), image_fit="exact", channels=1, skip_bad=True), "pictures")
    check_settings(Source(dataset="mnist", data_dir="there", binarised=True, validation_rows=5), "mnist")
