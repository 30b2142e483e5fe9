import gzip
import os
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from jobs.sources.arrays import ArrayFile
from jobs.sources.chunks import ReadRows
from jobs.sources.listing import Listing
from jobs.sources.opening import open_source
from jobs.sources.row_files import RowFileSource
from tests.jobs.sources.conftest import IMAGES, TABLE, ReadAll, read, spans_of
from vaeserve.errors import InvalidInput
from vaeserve.files import read_array
from vaeserve.package.row_spec import LatentSpec
from vaeserve.sources.arrays import npz_rows, read_npy
from vaeserve.sources.idx import read_idx
from vaeserve.sources.table import Table

NUMBERS = np.random.default_rng(0)
ROWS = NUMBERS.normal(size=(23, 2))
PICTURES = NUMBERS.integers(0, 256, (23, 4, 4), np.uint8)


def idx(pictures: np.ndarray) -> bytes:
    return bytes((0, 0, 8, 3)) + struct.pack(">3I", *pictures.shape) + pictures.tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_rows_are_those_of_the_whole_file(tmp_path: Path, read_all: ReadAll, order: str) -> None:
    np.save(tmp_path / "a.npy", np.asarray(ROWS, order=order))  # type: ignore[call-overload]
    everything = read_all(tmp_path / "a.npy", TABLE)
    np.testing.assert_array_equal(everything.rows, TABLE.fit(read_array(tmp_path / "a.npy"), "a"))
    assert everything.source_rows == [*range(23)]


def test_spatial_rows_in_fortran_order_keep_their_axes(tmp_path: Path, read_all: ReadAll) -> None:
    latents = NUMBERS.normal(size=(9, 2, 3, 4)).astype(np.float32)
    np.save(tmp_path / "a.npy", np.asfortranarray(latents))
    np.testing.assert_array_equal(read_all(tmp_path / "a.npy", LatentSpec((2, 3, 4))).rows, latents)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_rows_are_those_of_all_parts(tmp_path: Path, read_all: ReadAll, save: object) -> None:
    path = tmp_path / "a.npz"
    save(path, test=ROWS[20:], train=ROWS[:12], valid=ROWS[12:20], y_train=np.arange(12))  # type: ignore[operator]
    whole = npz_rows(path).rows
    assert isinstance(whole, Table)
    np.testing.assert_array_equal(read_all(path, TABLE).rows, whole.values)


def test_files_that_the_commands_write_are_known(tmp_path: Path, read_all: ReadAll) -> None:
    latents = ROWS.astype(np.float32)
    np.savez(tmp_path / "a.npz", output=PICTURES, latent=latents, seed=7, fingerprint="f" * 64)
    np.testing.assert_array_equal(read_all(tmp_path / "a.npz", IMAGES).rows[..., 0], PICTURES)
    np.testing.assert_array_equal(read_all(tmp_path / "a.npz", LatentSpec((2,))).rows, latents)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_may_lack_the_axis_of_channels(tmp_path: Path, read_all: ReadAll, save: object) -> None:
    save(tmp_path / "a.npz", X=PICTURES)  # type: ignore[operator]
    np.testing.assert_array_equal(read_all(tmp_path / "a.npz", IMAGES).rows, npz_rows(tmp_path / "a.npz").rows)


def test_whole_numbers_of_a_table_are_rounded_as_in_training(tmp_path: Path, read_all: ReadAll) -> None:
    spec = TABLE.model_copy(update={"minimum": -1e15, "maximum": 1e15})
    np.savez(tmp_path / "a.npz", X=np.array([[2**24 + 1, 3]]))
    assert read_all(tmp_path / "a.npz", spec).rows.tolist() == [[2**24, 3]]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_rows_are_those_of_the_whole_file(tmp_path: Path, read_all: ReadAll, suffix: str) -> None:
    path = tmp_path / f"images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(idx(PICTURES)) if suffix else idx(PICTURES))
    np.testing.assert_array_equal(read_all(path, IMAGES).rows, read_idx(path, 3)[..., np.newaxis])


def test_safetensors_rows_are_read_by_their_key(tmp_path: Path, read_all: ReadAll) -> None:
    latents = NUMBERS.normal(size=(9, 2, 3)).astype(np.float32)
    tensors: dict[str, np.ndarray] = {"labels": np.arange(9), "latents": latents, "latents_flip": latents + 1}
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors", {"note": "more"})
    np.testing.assert_array_equal(read_all(tmp_path / "a.safetensors", LatentSpec((2, 3))).rows, latents)
    source = open_source([str(tmp_path)], TABLE)
    with pytest.raises(
        InvalidInput, match="cannot tell which tensor holds the rows: call it data, not labels, latents"
    ):
        list(source.files())


def test_bfloat16_is_read(tmp_path: Path, read_all: ReadAll) -> None:
    header = b'{"x":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\x80\x3f\x00\xc0")
    assert read_all(tmp_path / "a.safetensors", LatentSpec((2,))).rows.tolist() == [[1, -2]]


def test_rows_that_do_not_fit_are_error_rows(tmp_path: Path, read_all: ReadAll) -> None:
    rows = ROWS.copy()
    rows[3, 1], rows[4, 0], rows[17, 0] = np.nan, 1e300, 101
    np.save(tmp_path / "a.npy", rows)
    everything = read_all(tmp_path / "a.npy", TABLE)
    assert everything.errors == {
        3: "nan at [1] must lie in [-100, 100]",
        4: "1e+300 at [0] cannot be converted to float32 without loss",
        17: "101.0 at [0] must lie in [-100, 100]",
    }
    good = np.delete(np.arange(23), [3, 4, 17])
    np.testing.assert_array_equal(everything.rows[good], rows[good].astype(np.float32))
    assert not everything.rows[[3, 4, 17]].any()


def test_several_files_follow_each_other_and_one_may_be_empty(tmp_path: Path, read_all: ReadAll) -> None:
    for number, rows in enumerate((ROWS[:5], ROWS[:0], ROWS[5:])):
        np.save(tmp_path / f"{number}.npy", rows)
    everything = read_all(tmp_path, TABLE)
    np.testing.assert_array_equal(everything.rows, ROWS.astype(np.float32))
    assert everything.sources == ["0.npy"] * 5 + ["2.npy"] * 18
    assert len(everything.chunks) == 1  # a chunk of rows of two files


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "b.npz", "images-idx3-ubyte.gz"])
def test_rows_are_found_wherever_they_lie(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    np.save(tmp_path / "a.npy", PICTURES)
    np.savez(tmp_path / "a.npz", train=PICTURES[:10], test=PICTURES[10:])
    np.savez_compressed(tmp_path / "b.npz", train=PICTURES[:10], test=PICTURES[10:])
    (tmp_path / "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PICTURES)))
    source = open_source([str(path)], IMAGES)
    (whole,) = spans_of(source)
    for places in ([(20, 23), (0, 2)], [(9, 12)], [(5, 6), (7, 9), (7, 8)]):
        spans = [whole._replace(start=start, stop=stop) for start, stop in places]
        expected = np.concatenate([PICTURES[start:stop] for start, stop in places])
        np.testing.assert_array_equal(read(source, spans, 2).rows[..., 0], expected)
    source.close()


def refused(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    source = open_source([str(path)], IMAGES if "idx" in path.name else TABLE)
    with pytest.raises(InvalidInput, match=said):
        list(source.files())
    source.close()
    path.unlink()


def test_damaged_files_are_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    npy = (tmp_path / "x.npy").read_bytes()
    np.savez(tmp_path / "x.npz", X=ROWS)
    npz = (tmp_path / "x.npz").read_bytes()
    np.savez_compressed(tmp_path / "x.npz", X=ROWS)
    packed = bytearray((tmp_path / "x.npz").read_bytes())
    packed[150] ^= 255
    refused(tmp_path / "a.npy", npy[:-1], r"a.npy: is cut short: its header says float64 \[23, 2\]$")
    refused(tmp_path / "a.npy", npy + b"x", "goes on after its end: ")
    refused(tmp_path / "a.npy", b"", "a.npy: is not an intact .npy file of plain values$")
    refused(tmp_path / "a.npz", npz[:-1], "a.npz: is not an intact .npz file of plain values$")
    refused(tmp_path / "a.npz", bytes(packed), "a.npz: is not an intact .npz file of plain values$")
    refused(tmp_path / "a-idx3-ubyte", idx(PICTURES)[:-1], "is cut short")
    refused(tmp_path / "a-idx3-ubyte.gz", gzip.compress(idx(PICTURES))[:-9], "is not an intact .gz file")
    refused(tmp_path / "a-idx3-ubyte.gz", gzip.compress(idx(PICTURES) + b"x"), "goes on after its end")
    for header in (b"", b"\xff" * 8, struct.pack("<Q", 3) + b"[1]", struct.pack("<Q", 2) + b"{}"):
        refused(tmp_path / "a.safetensors", header, "a.safetensors: (is not an intact|cannot tell)")
    lie = b'{"x":{"dtype":"F32","shape":[9,2],"data_offsets":[0,72]}}'
    refused(tmp_path / "a.safetensors", struct.pack("<Q", len(lie)) + lie + b"1234", "is not an intact .safetensors")


def test_another_shape_or_type_is_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    arrays = {
        r"has shape \[3, 5\], must be \[rows, 2\]": np.zeros((3, 5)),
        r"is a single row of shape \[2\], must be \[rows, 2\]: add a first axis": np.zeros(2),
        r"has shape \[\], must be \[rows, 2\]": np.zeros(()),
        "holds <U1, must hold numbers": np.full((3, 2), "a"),
        "holds Python objects, which are never read": np.full((3, 2), None),
    }
    for said, array in arrays.items():
        np.save(tmp_path / "x.npy", array)
        refused(tmp_path / "a.npy", (tmp_path / "x.npy").read_bytes(), rf"a.npy: {said}")
    np.savez_compressed(tmp_path / "x.npz", X=np.asfortranarray(ROWS))
    refused(tmp_path / "a.npz", (tmp_path / "x.npz").read_bytes(), "X: is compressed column by column")


def test_a_file_that_changes_under_the_job_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    source = open_source([str(tmp_path)], TABLE)
    spans = spans_of(source)
    (tmp_path / "a.npy").touch()
    assert len(read(source, spans, 7).rows) == 23  # it is hashed, and is the same
    rows = source.read(spans, 7)
    next(rows)
    np.save(tmp_path / "a.npy", ROWS + 1)
    with pytest.raises(InvalidInput, match=r"a.npy: has changed since the job was planned: --update takes it$"):
        list(rows)
    os.truncate(tmp_path / "a.npy", 200)
    with pytest.raises(InvalidInput, match="has changed"):
        read(source, spans, 7)
    source.close()


def test_a_file_whose_stamp_is_known_is_not_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    source = open_source([str(tmp_path)], TABLE)
    spans = [span._replace(sha256="not it") for span in spans_of(source)]
    assert len(read(source, spans, 7).rows) == 23
    with pytest.raises(InvalidInput, match="has changed"):
        read(source, [span._replace(stamp="") for span in spans], 7)
    source.close()


def test_no_rows_at_all_are_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS[:0])
    source = open_source([str(tmp_path / "a.npy")], TABLE)
    with pytest.raises(InvalidInput, match=r"a.npy: holds no rows$"):
        list(source.files())


def test_errors_keep_their_places_in_a_chunk_of_several_files(tmp_path: Path, read_all: ReadAll) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.where(np.arange(3)[:, None] == number, np.nan, ROWS[:3]))
    assert [*read_all(tmp_path, TABLE).errors] == [0, 4, 8]


def test_a_file_that_changes_while_it_is_read_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)

    class Changing(ArrayFile):
        def read(self, start: int, stop: int) -> ReadRows:
            piece = super().read(start, stop)
            np.save(tmp_path / "a.npy", ROWS + 1)
            return piece

    source = RowFileSource(Listing([str(tmp_path)]), partial(Changing, spec=TABLE))
    with pytest.raises(InvalidInput, match="has changed"):
        read(source, spans_of(source), 100)
    source.close()


def test_arrays_become_rows_as_those_that_the_model_was_trained_on(tmp_path: Path, read_all: ReadAll) -> None:
    path, values = tmp_path / "a.npy", NUMBERS.random((23, 3, 4, 5)).astype(np.float32)
    np.save(path, values)
    content = read_npy(path, False)
    np.testing.assert_array_equal(read_all(path, content.spec).rows, content.values)
    values[7, 1, 2, 3] = 1.5
    np.save(path, values)
    errors = read_all(path, content.spec).errors
    assert errors == {
        7: "1.5 at [2, 3, 1]: float32 pictures must lie in [0, 1], as in the arrays that the model was trained on"
    }
