import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import ImageFit
from vaeserve.sources.folder import read_folder
from vaeserve.sources.picture import Wanted
from vaeserve.sources.pictures import picture_files, read_rows

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (6, 4, 5, 3), np.uint8)
NAMES = ["a/1.png", "a/2.PNG", "b/1.webp", "b/c/1.png", "z", "zz.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for name, picture in zip(NAMES, PICTURES, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / name, "WebP" if name.endswith("webp") else "PNG", lossless=True)
    return root


def test_pictures_are_found_in_folders_of_any_depth_in_the_order_of_their_paths(folder: Path) -> None:
    content = read_folder(folder, Wanted(), False)
    np.testing.assert_array_equal(content.values, PICTURES)
    assert (content.spec.shape, content.family, content.labels) == ((4, 5, 3), "gaussian", None)  # some in no folder
    assert content.spec.image_fit == ImageFit(fit="exact")
    assert (content.spec.minimum, content.spec.maximum) == (0, 255)


@pytest.mark.parametrize("above", ["", "train", "Test"])
def test_folders_name_the_classes(folder: Path, above: str) -> None:
    for name in ("z", "zz.png"):
        (folder / name).unlink()
    if above:
        (folder / above).mkdir()
        for name in "ab":
            (folder / name).rename(folder / above / name)
    content = read_folder(folder, Wanted((2, 2)), False)
    assert content.labels is not None
    assert (content.labels.tolist(), content.classes) == ([0, 0, 1, 1], ("a", "b"))
    assert content.spec.image_fit == ImageFit(fit="crop")


def test_a_single_folder_is_no_class(folder: Path) -> None:
    content = read_folder(folder / "b", Wanted(), False)
    assert (content.labels, content.classes) == (None, ())
    assert read_folder(folder.parent, Wanted(), False).labels is None


def test_labels_of_pictures_that_are_left_out_leave_with_them(folder: Path) -> None:
    for name in ("z", "zz.png"):
        (folder / name).unlink()
    (folder / "a" / "0.png").write_bytes(b"broken")
    content = read_folder(folder, Wanted(), True)
    assert content.labels is not None
    assert content.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(content.values, PICTURES[:4])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InvalidInput, match=rf"^{tmp_path}: holds no pictures"):
        read_folder(tmp_path, Wanted(), False)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((4, 6, 3), np.uint8), r"m\.png: is 6 x 4 pixels, .*1\.png is 5 x 4 pixels: .* --image-size 64$"),
        (np.zeros((4, 5), np.uint8), r"m\.png: is in grey, .*1\.png in colour: .* --channels$"),
    ],
)
def test_mixed_pictures_are_refused_even_if_bad_ones_are_skipped(folder: Path, picture: np.ndarray, said: str) -> None:
    Image.fromarray(picture).save(folder / "m.png")
    for skip_bad in (False, True):
        with pytest.raises(InvalidInput, match=said):
            read_folder(folder, Wanted(), skip_bad)
    content = read_folder(folder, Wanted((3, 2), channels=3), False)
    assert content.values.shape == (7, 3, 2, 3)


def test_bad_pictures_are_refused_or_left_out_and_listed(folder: Path) -> None:
    (folder / "a" / "0.png").write_bytes(b"broken")
    (folder / "m.jpg").symlink_to("/nowhere")
    with pytest.raises(InvalidInput, match=r"a/0\.png: is not a PNG, JPEG, WebP or TIFF"):
        read_folder(folder, Wanted(), False)
    content = read_folder(folder, Wanted(), True)
    np.testing.assert_array_equal(content.values, PICTURES)
    assert content.skipped == (
        f"{folder}/a/0.png: is not a PNG, JPEG, WebP or TIFF",
        f"{folder}/m.jpg: cannot be read: No such file or directory",
    )


def test_if_every_picture_is_bad_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"broken")
    with pytest.raises(InvalidInput, match=r"none of its 1 pictures can be used: .*0\.png: is not a PNG"):
        read_folder(tmp_path, Wanted(), True)


def test_the_innermost_folder_is_a_group_and_those_above_it_are_classes(tmp_path: Path) -> None:
    names = ["train/sick/anna/1.png", "train/sick/anna/2.png", "train/well/bob/1.png", "test/sick/anna/3.png"]
    for name, picture in zip(names, PICTURES, strict=False):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / name)
    content = read_folder(tmp_path, Wanted(), False, group_folders=True)  # test/ comes first
    assert content.groups is not None
    assert content.labels is not None
    assert content.groups.tolist() == [0, 0, 0, 1]
    assert (content.labels.tolist(), content.classes) == ([0, 0, 0, 1], ("sick", "well"))
    below = read_folder(tmp_path / "train", Wanted(), False, group_folders=True)
    assert below.classes == ("sick", "well")
    with pytest.raises(InvalidInput, match=r"--group-folders: .*: all pictures lie in one folder"):
        read_folder(tmp_path / "train" / "sick", Wanted(), False, group_folders=True)


def test_folders_that_are_groups_are_no_classes(folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--group-folders: .*zz?.* lies in no folder within .*faces"):
        read_folder(folder, Wanted(), False, group_folders=True)
    for name in ("z", "zz.png"):
        (folder / name).unlink()
    content = read_folder(folder, Wanted(), False, group_folders=True)
    assert content.groups is not None
    assert (content.groups.tolist(), content.labels) == ([0, 0, 1, 2], None)


def test_pictures_of_16_bits_are_scaled_by_the_brightest_and_encoded_later_as_in_training(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 4001, (5, 4, 5)).astype(np.uint16)
    values[2, 0, 0] = 4000
    for number, picture in enumerate(values):
        Image.fromarray(picture).save(tmp_path / f"{number}.{'png' if number % 2 else 'tif'}")
    Image.fromarray(PICTURES[0, ..., 0]).save(tmp_path / "9.png")
    content = read_folder(tmp_path, Wanted(), False)
    np.testing.assert_array_equal(content.values[:5, ..., 0], np.rint(values / 4095 * 255))
    np.testing.assert_array_equal(content.values[5], PICTURES[0, ..., :1])
    assert content.spec.image_fit == ImageFit(fit="exact", white=4095)
    assert content.notes == (
        f"{tmp_path}: 5 of 6 pictures have more than 8 bits a channel, with values up to 4000: taken as 12 bits, so "
        "4095 is white, and scaled to 8",
    )
    np.testing.assert_array_equal(read_rows(picture_files([tmp_path]), content.spec).rows, content.values)
    Image.fromarray(values[0] * 8).save(tmp_path / "a.png")
    with pytest.raises(InvalidInput, match=r"a\.png: holds \d+, must lie in \[0, 4095\]$"):
        read_rows(picture_files([tmp_path]), content.spec)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_16_bits(values: np.ndarray) -> bytes:
    """A PNG in colour, which Pillow cannot write in 16 bits."""
    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_dark_colours_of_16_bits_are_left_out_where_nothing_else_has_as_many(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    (tmp_path / "dark.png").write_bytes(png_of_16_bits(values.astype(np.uint16) * 8))
    message = "has more than 8 bits a channel and colours, of which the upper 8 are read, but 4095 is white: save it"
    with pytest.raises(InvalidInput, match=rf"dark\.png: {message} with 8$"):
        read_folder(tmp_path, Wanted(), skip_bad=False)
    content = read_folder(tmp_path, Wanted(), skip_bad=True)
    np.testing.assert_array_equal(content.values, [values])
    assert (content.spec.image_fit, content.notes) == (ImageFit(fit="exact"), ())
    assert len(content.skipped) == 1
