import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

from jobs.rows import SizedRows, Span
from jobs.sources.opening import open_source
from tests.jobs.sources.conftest import IMAGES, TABLE, ReadAll, png, read, spans_of
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.images import decode_images
from vaeserve.sources.pictures import find_pictures, read_rows

CHANGED = "has changed since the job was planned: --update takes it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("b.png", "a/z.png", "a.png", "a/b/1.png", ".hidden.png", "c/10.png", "c/9.png")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png(number * 10))
    (tmp_path / "in" / "a" / "notes.txt").write_text("not a picture")
    (tmp_path / "in" / "labels.csv").write_text("file,label\na.png,1\n")
    return tmp_path / "in"


def test_rows_are_those_that_the_command_reads(folder: Path, read_all: ReadAll) -> None:
    files = find_pictures(folder)
    everything = read_all(folder, IMAGES)
    assert everything.sources == [str(file.relative_to(folder)) for file in files]
    assert everything.sources == ["a/b/1.png", "a/z.png", "a.png", "b.png", "c/10.png", "c/9.png"]
    np.testing.assert_array_equal(everything.rows, read_rows(files, IMAGES).rows)
    assert everything.errors == {}


def test_a_model_that_does_not_tell_how_pictures_were_fitted_reads_them_as_the_service_does(
    folder: Path, read_all: ReadAll
) -> None:
    spec = IMAGES.model_copy(update={"image_fit": None})
    (folder / "b.png").write_bytes(png(9, (5, 4)))
    everything = read_all(folder, spec)
    assert everything.errors == {3: "is 5 x 4 pixels, must be 4 x 4 (width x height)"}
    expected = decode_images([(folder / "a.png").read_bytes()], "", 0, spec)
    np.testing.assert_array_equal(everything.rows[2:3], expected)


def test_a_bad_picture_is_an_error_row(folder: Path, read_all: ReadAll) -> None:
    (folder / "a.png").write_bytes(b"")
    (folder / "b.png").write_bytes(png(30)[:60])
    (folder / "c" / "9.png").unlink()
    os.mkfifo(folder / "c" / "9.png")
    (folder / "d.png").symlink_to("nowhere")
    everything = read_all(folder, IMAGES)
    assert everything.errors == {
        2: "is not a PNG, JPEG, WebP or TIFF",
        3: "is not an intact PNG",
        5: "is not a regular file",
        6: "cannot be read: No such file or directory",
    }
    np.testing.assert_array_equal(everything.rows[2], IMAGES.blank(1)[0])


def test_a_picture_that_changes_under_the_job_is_an_error_row(folder: Path) -> None:
    source = open_source([str(folder)], IMAGES)
    spans = spans_of(source)
    before = (folder / "a.png").stat()
    (folder / "a.png").write_bytes(png(21))
    os.utime(folder / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "b.png").unlink()
    errors = read(source, spans, 4).errors
    assert errors == {2: CHANGED, 3: "cannot be read: No such file or directory"}
    source.close()


def test_a_picture_that_could_not_be_read_when_planned_is_never_computed_unhashed(folder: Path) -> None:
    (folder / "d.png").symlink_to("nowhere")
    source = open_source([str(folder)], IMAGES)
    spans = spans_of(source)
    assert spans[-1].sha256 == ""
    (folder / "nowhere").write_bytes(png(1))
    assert read(source, spans, 4).errors == {6: "could not be read when the job was planned: --update takes it"}
    source.close()


def test_several_addresses_prefix_names_by_their_last_part(folder: Path, read_all: ReadAll) -> None:
    everything = read_all([folder / "c", folder / "a", folder / "b.png"], IMAGES)
    assert everything.sources == ["a/b/1.png", "a/z.png", "b.png", "c/10.png", "c/9.png"]
    (folder / "c" / "a").mkdir()
    with pytest.raises(InvalidInput, match=r"ends in 'a', as .*/in/a does: rename one$"):
        open_source([str(folder / "a"), str(folder / "c" / "a")], IMAGES)


def test_what_cannot_be_a_source_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds pictures, the model takes table rows of shape \[2\]$"):
        open_source([str(folder)], TABLE)
    with pytest.raises(InvalidInput, match=r"nothing: cannot be read: No such file or directory$"):
        open_source([str(tmp_path / "nothing")], IMAGES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="empty: holds nothing to read: "):
        open_source([str(tmp_path / "empty")], IMAGES)
    with pytest.raises(InvalidInput, match=r"has no column 'id': it holds pictures$"):
        open_source([str(folder)], IMAGES, keep=("id",))
    (folder / "x.npy").write_bytes(b"")
    source = open_source([str(folder)], IMAGES)
    with pytest.raises(InvalidInput, match=r"x.npy: is an array, a/b/1.png is a picture: give files of one"):
        list(source.files())
    source.close()


def test_stores_read_like_folders(folder: Path, read_all: ReadAll) -> None:
    store = fsspec.filesystem("memory")
    store.put(str(folder), "/pictures", recursive=True)
    there, here = read_all("memory://pictures", IMAGES), read_all(folder, IMAGES)
    assert there.sources == here.sources
    np.testing.assert_array_equal(there.rows, here.rows)
    with pytest.raises(InvalidInput, match=r"^memory://none: cannot be read: there is nothing$"):
        open_source(["memory://none"], IMAGES)
    with pytest.raises(InvalidInput, match=r"^nosuch://x: cannot be read: Protocol not known: nosuch"):
        open_source(["nosuch://x"], IMAGES)


def test_a_file_url_is_a_path(folder: Path, read_all: ReadAll) -> None:
    assert len(read_all(f"file://{folder}", IMAGES).rows) == 6


def test_pictures_of_many_sizes_tell_theirs_and_are_cropped_to_one(tmp_path: Path) -> None:
    sizes = PictureSizes(multiple=8, minimum=8, maximum=64, default=PictureSize(16, 16))
    spec = IMAGES.model_copy(update={"axes": ("height", "width", 1), "sizes": sizes, "image_fit": None})
    for name, content in (("a", png(10, (30, 20))), ("b", b"no picture"), ("c", png(20, (9, 9)))):
        (tmp_path / f"{name}.png").write_bytes(content)
    (tmp_path / "d.png").symlink_to("nowhere")
    source = open_source([str(tmp_path)], spec, enlarges=False)
    files = [*source.files()]
    known = [PictureSize(20, 30), None, PictureSize(9, 9), None]
    assert [file.sizes for file in files] == [(SizedRows(1, size),) for size in known]
    spans = [Span(file.name, file.sha256, 0, 1) for file in files]
    (chunk,) = source.read(spans, 8, PictureSize(8, 16))
    assert chunk.rows.shape == (4, 8, 16, 1)
    assert chunk.errors == {
        1: "is not a PNG, JPEG, WebP or TIFF",
        2: "is 9 x 9 pixels, smaller than its bucket of 16 x 8",
        3: "cannot be read: No such file or directory",
    }
    crops = {name: values.tolist() for name, values in chunk.crops.items()}
    assert crops["original_size"] == [[20, 30], [0, 0], [0, 0], [0, 0]]
    assert crops["crop_top_left"][0] == [1, 0]  # 10.67 high once it is 16 wide
    assert crops["target_size"] == [[8, 16]] * 4
    source.close()
