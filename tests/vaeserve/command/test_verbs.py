from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from PIL import Image

from tests.support.commands import Streams, refused
from vaeserve.command.cli import run
from vaeserve.files import write_arrays
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server


def test_sample_draws_a_picture(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    out = tmp_path / "grid.png"
    assert run(["sample", "--target", server.target, "--count", "20", "--seed", "7", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 20 rows, drawn with seed 7 from row 0\n"
    with Image.open(out) as picture:
        assert picture.size == (5 * 50 - 2, 4 * 50 - 2)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_sample_writes_arrays(server: "Server", tmp_path: Path) -> None:
    sample = ["sample", "--target", server.target, "--count", "20", "--first-row", "3"]
    assert run([*sample, "--expectation", "--out", str(tmp_path / "x.npy")]) == 0
    rows = np.load(tmp_path / "x.npy")
    assert rows.dtype == np.float32
    assert rows[:, 0, 0, 0].tolist() == [row % 17 for row in range(3, 23)]
    options = ["--with-latent", "--temperature", "0.5", "--prior", "standard", "--model", "digits", "--version", "1"]
    assert run([*sample, *options, "--out", str(tmp_path / "x.npz")]) == 0
    with np.load(tmp_path / "x.npz") as archive:
        assert set(archive.files) == {"output", "latent", "seed", "first_row", "fingerprint"}
        assert archive["latent"].shape == (20, 2)
        request = server.script.requests("Sample")[-1]
        assert isinstance(request, pb.SampleRequest)
        assert (request.model, request.version, request.prior, request.temperature) == ("digits", 1, "standard", 0.5)
        assert int(archive["seed"]) == request.seed


def test_encode_then_decode(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    data, latents, again = (str(tmp_path / name) for name in ("x.npy", "z.npz", "y.npy"))
    np.save(data, np.arange(20 * 64).reshape(20, 8, 8, 1) % 17)
    encode = ["encode", "--target", server.target, "--input", data, "--out", latents]
    assert run([*encode, "--output", "moments"]) == 0
    with np.load(latents) as archive:
        assert set(archive.files) == {"latent", "log_variance", "fingerprint"}
    assert run([*encode, "--output", "sample", "--seed", "7"]) == 0
    assert capsys.readouterr().out.endswith("latents of 20 rows, drawn with seed 7 from row 0\n")
    with np.load(latents) as archive:
        assert int(archive["seed"]) == 7
    assert run(["decode", "--target", server.target, "--input", latents, "--out", again]) == 0
    assert np.load(again).shape == (20, 8, 8, 1)
    request = server.script.requests("Decode")[-1]
    assert isinstance(request, pb.DecodeRequest)
    assert request.fingerprint == server.script.model.fingerprint


def test_encode_and_decode_take_what_sample_and_decode_write(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    samples, latents, again = (str(tmp_path / name) for name in ("x.npz", "z.npz", "y.npz"))
    to = ["--target", server.target]
    assert run(["sample", *to, "--count", "20", "--with-latent", "--seed", "7", "--out", samples]) == 0
    capsys.readouterr()
    assert run(["encode", *to, "--input", samples, "--out", latents]) == 0
    assert capsys.readouterr().err == f"{samples}: took output, of fingerprint, first_row, latent, output, seed\n"
    with np.load(latents) as archive:
        assert archive["latent"].shape == (20, 2)
    assert run(["decode", *to, "--input", samples, "--out", again]) == 0
    assert capsys.readouterr().err == f"{samples}: took latent, of fingerprint, first_row, latent, output, seed\n"
    assert run(["encode", *to, "--input", again, "--out", latents]) == 0
    assert capsys.readouterr().err == f"{again}: took output, of fingerprint, output\n"
    assert run(["decode", *to, "--input", latents, "--out", again]) == 0
    assert capsys.readouterr().err == ""


def test_encode_takes_images_and_folders_of_them(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "z.npz"
    folder.mkdir()
    for number, name in enumerate(("b.png", "a.JPG", "c.webp")):
        Image.new("L", (8, 8), number).save(folder / name, lossless=True)
    (folder / "notes.txt").write_text("no image")
    encode = ["encode", "--target", server.target, "--out", str(out), "--input"]
    assert run([*encode, str(folder), str(folder / "b.png")]) == 0
    names = [str(folder / name) for name in ("a.JPG", "b.png", "c.webp", "b.png")]
    with np.load(out) as archive:
        assert archive["files"].tolist() == names
        assert archive["latent"].shape == (4, 2)
    request = server.script.requests("Encode")[-1]
    assert isinstance(request, pb.EncodeRequest)
    assert list(request.images.images) == [Path(name).read_bytes() for name in names]
    capsys.readouterr()
    Image.new("L", (9, 8)).save(folder / "d.png")
    said = f"vae: {folder / 'd.png'}: is 9 x 8 pixels, must be 8 x 8 (width x height)"
    assert refused([*encode, str(folder)], capsys) == said
    (tmp_path / "empty").mkdir()
    assert refused([*encode, str(tmp_path / "empty")], capsys).endswith("holds no pictures (PNG, JPEG, WebP or TIFF)")
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8, 1)))
    said = f"vae: {tmp_path / 'x.npy'}: is a file of rows, which must be the only input"
    for files in (["x.npy", "pictures/b.png"], ["pictures/b.png", "x.npy"]):
        assert refused([*encode, *(str(tmp_path / name) for name in files)], capsys) == said


def test_bare_latents_are_decoded_by_any_pair(server: "Server", tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((3, 2)))
    for name in ("y.png", "y.npz"):
        decode = ["decode", "--target", server.target, "--input", str(tmp_path / "z.npy")]
        assert run([*decode, "--out", str(tmp_path / name)]) == 0
    request = server.script.requests("Decode")[-1]
    assert isinstance(request, pb.DecodeRequest)
    assert request.fingerprint == ""


@pytest.mark.parametrize("missing", ["latent", "fingerprint"])
def test_archives_that_no_encode_wrote(server: "Server", tmp_path: Path, capsys: Streams, missing: str) -> None:
    kept = {"latent": np.zeros((1, 2)), "fingerprint": "a" * 64}
    del kept[missing]
    write_arrays(tmp_path / "z.npz", **kept)  # type: ignore[arg-type]
    decode = ["decode", "--target", server.target, "--input", str(tmp_path / "z.npz")]
    said = refused([*decode, "--out", str(tmp_path / "y.npy")], capsys)
    assert said.startswith(f"vae: {tmp_path / 'z.npz'}: holds no {missing}")


def test_files_are_checked_before_anything_is_sent(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8, 1)))
    out = str(tmp_path / "z.npz")
    for given, out_, said in (
        ("absent.npy", out, "absent.npy: cannot be read: No such file or directory"),
        ("objects.npy", out, "objects.npy: is not an .npy file of plain values"),
        ("x.csv", out, "x.csv: cannot be read: No such file or directory"),
        ("x.txt", out, "a folder of them, or a file of rows (.npy, .npz, .csv, .parquet)"),
        ("x.npy", str(tmp_path / "z.npy"), "z.npy: must end in .npz"),
        ("x.npy", str(tmp_path / "absent" / "z.npz"), f"z.npz: there is no directory {tmp_path / 'absent'}"),
    ):
        encode = ["encode", "--target", server.target, "--input", str(tmp_path / given), "--out", out_]
        assert refused(encode, capsys).endswith(said)
    assert server.script.received == []


def test_what_the_server_refuses(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    server.script.before = [server.refuse(grpc.StatusCode.NOT_FOUND, "no model\ncalled 'x'")]
    sample = ["sample", "--target", server.target, "--count", "1", "--out", str(tmp_path / "x.npy")]
    assert refused(sample, capsys) == "vae: NOT_FOUND: no model called 'x'"
    assert list(tmp_path.iterdir()) == []


def test_what_the_model_does_not_fit(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    np.save(tmp_path / "x.npy", np.zeros((8, 8, 1)))
    encode = ["encode", "--target", server.target, "--input", str(tmp_path / "x.npy"), "--out", str(tmp_path / "z.npz")]
    assert "single row of shape [8, 8, 1]" in refused(encode, capsys)
    decode = ["decode", "--target", server.target, "--input", str(tmp_path / "x.npy"), "--out", str(tmp_path / "y.npy")]
    assert refused(decode, capsys) == f"vae: {tmp_path / 'x.npy'}: has shape [8, 8, 1], must be [rows, 2]"
    sample = ["sample", "--target", server.target, "--count", "0", "--out", str(tmp_path / "x.npy")]
    assert refused(sample, capsys).startswith("vae: count: is 0")


def test_a_table_is_no_picture(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    server.script.model.data.kind = pb.DATA_KIND_TABLE
    server.script.model.data.shape[:] = [3]
    sample = ["sample", "--target", server.target, "--count", "1", "--out", str(tmp_path / "x.png")]
    assert "rows: are those of a table and cannot be drawn: write .npy or .npz" in refused(sample, capsys)
    assert "x.csv: must end in .npy, .npz or .png" in refused([*sample[:-1], str(tmp_path / "x.csv")], capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "--count", "3"],
        ["sample", "--target", "localhost:1", "--count", "many", "--out", "x.npy"],
        ["sample", "--target", "localhost:1", "--count", "1", "--with-latent", "--out", "x.png"],
        ["sample", "--target", "localhost:1", "--count", "1", "--see", "7", "--out", "x.npy"],
        ["encode", "--target", "localhost:1", "--input", "x.npy", "--out", "z.npz", "--output", "median"],
        ["encode", "--target", "localhost:1", "--input", "x.npy", "--out", "z.npz", "--seed", "7"],
        ["decode", "--target", "localhost:1"],
        ["info", "one", "other"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: Streams) -> None:
    said = refused(arguments, capsys, code=2)
    assert said.strip().endswith(f"; `vae {arguments[0]} --help` lists the options")
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("verb", ["sample", "encode", "decode", "info"])
def test_help(verb: str, capsys: Streams) -> None:
    assert run([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: vae {verb}")


def test_a_picture_of_too_many_rows(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    out = tmp_path / "x.png"
    sample = ["sample", "--target", server.target, "--count", "100000", "--out", str(out)]
    assert refused(sample, capsys) == (
        f"vae: {out}: a picture shows at most 10,000 rows, not 100,000; write a .npy file"
    )
    np.save(tmp_path / "z.npy", np.zeros((10_001, 2), np.float32))
    decode = ["decode", "--target", server.target, "--input", str(tmp_path / "z.npy"), "--out", str(out)]
    assert "at most 10,000 rows, not 10,001" in refused(decode, capsys)
    assert server.script.received == []
