import json
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from PIL import Image

from vaeserve.command.cli import run
from vaeserve.files import write_arrays
from vaeserve.package.directory import ModelPackage
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Contents, Server

Streams = pytest.CaptureFixture[str]


def refused(arguments: list[str], capsys: Streams, code: int = 1) -> str:
    """Runs a command that must fail, and returns the one line it says."""
    assert run(arguments) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    said = streams.err.strip().splitlines()
    assert len(said) == 1 or code == 2
    return said[-1]


def test_sample_draws_a_picture(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    out = tmp_path / "grid.png"
    assert run(["sample", "--target", server.target, "--count", "20", "--seed", "7", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 20 rows of seed 7, from row 0\n"
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
    assert refused([*encode, str(tmp_path / "empty")], capsys).endswith("holds no pictures (PNG, JPEG or WebP)")
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8, 1)))
    assert "or a file of rows (.npy, .npz, .csv, .parquet)" in refused(
        [*encode, str(folder / "b.png"), str(tmp_path / "x.npy")], capsys
    )


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
        ("objects.npy", out, "objects.npy: is no .npy file of plain values"),
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
    sample = ["sample", "--target", server.target, "--count", "0", "--out", str(tmp_path / "x.npy")]
    assert refused(sample, capsys).startswith("vae: count: is 0")


def test_a_table_is_no_picture(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    server.script.model.data.kind = pb.DATA_KIND_TABLE
    server.script.model.data.shape[:] = [3]
    sample = ["sample", "--target", server.target, "--count", "1", "--out", str(tmp_path / "x.png")]
    assert "rows: are those of a table, which no picture shows: write .npy or .npz" in refused(sample, capsys)
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
    assert said.strip().endswith(f"; `vae {arguments[0]} --help` tells the options")
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


def test_a_target_needs_a_port(tmp_path: Path, capsys: Streams) -> None:
    sample = ["sample", "--target", "nonsense", "--count", "1", "--out", str(tmp_path / "x.npy")]
    assert refused(sample, capsys) == "vae: target: is 'nonsense', which has no port: must be HOST:PORT"


def test_the_target_is_told_once_for_all_verbs(
    server: "Server", capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_TARGET", server.target)
    assert run(["info"]) == 0
    assert f"served at {server.target}" in capsys.readouterr().out
    monkeypatch.setenv("VAE_TARGET", "nonsense")
    assert refused(["info"], capsys) == "vae: VAE_TARGET: is 'nonsense', which has no port: must be HOST:PORT"
    assert run(["info", "--target", server.target]) == 0
    monkeypatch.setenv("VAE_TARGET", "")
    assert run(["info", "--help"]) == 0
    assert "127.0.0.1:50051" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["info"], ["sample", "--count", "1"], ["bench"]])
def test_a_refused_connection_asks_whether_a_server_runs(
    verb: list[str], port: str, tmp_path: Path, capsys: Streams
) -> None:
    out = ["--out", str(tmp_path / "x.npy")] if verb[0] == "sample" else []
    said = f"nothing listens at 127.0.0.1:{port} (connection refused): is `vae serve` running there?"
    assert refused([*verb, *out, "--target", f"127.0.0.1:{port}"], capsys) == f"vae: UNAVAILABLE: {said}"


def test_token_comes_from_a_file(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = ["--token-file", str(tmp_path / "token")]
    info = ["info", "--target", server.target, *token]
    assert run(info) == 0
    assert server.script.received[0].metadata["authorization"] == "Bearer secret"
    capsys.readouterr()
    assert refused(["info", "--target", "models.example:443", *token], capsys).startswith(
        "vae: token: would travel unencrypted"
    )
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert refused(info, capsys).endswith("token: cannot be read: it is no text")
    (tmp_path / "token").unlink()
    assert refused(info, capsys).endswith("token: cannot be read: No such file or directory")


def test_a_client_certificate_needs_its_key(capsys: Streams) -> None:
    said = refused(["info", "--target", "localhost:1", "--client-certificate", "me.pem"], capsys)
    assert said.startswith("vae: client_certificate: needs client_key")


def test_info_describes_a_server(server: "Server", capsys: Streams) -> None:
    assert run(["info", "--target", server.target]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"digits, version 1: served at {server.target}\n")
    assert "  a request    at most 8 rows and 1,048,576 bytes\n" in said
    assert "  negative_elbo_nats  131.25\n" in said
    assert run(["info", "--target", server.target, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["limits"]["call_rows"] == 8


@pytest.mark.parametrize(
    ("exactness", "said"),
    [
        (pb.Exactness(is_exact=True), "exactness a row's answer is the same bits in any batch"),
        (
            pb.Exactness(largest_difference=2e-7),
            "exactness a row's answer may differ by 2.0e-07 from batch to batch",
        ),
    ],
)
def test_info_tells_whether_bits_depend_on_the_batch(
    server: "Server", capsys: Streams, exactness: pb.Exactness, said: str
) -> None:
    server.script.model.exactness.CopyFrom(exactness)
    assert run(["info", "--target", server.target]) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert run(["info", "--target", server.target, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["exactness"]["is_exact"] == exactness.is_exact


@pytest.mark.parametrize(
    ("fit", "said"), [("exact", "turned upright, refused if of another size"), ("crop", "brought to size by crop")]
)
def test_info_tells_what_becomes_of_pictures(server: "Server", capsys: Streams, fit: str, said: str) -> None:
    server.script.model.data.image_fit.fit = fit
    assert run(["info", "--target", server.target]) == 0
    assert said in capsys.readouterr().out


def test_info_describes_a_package(package: ModelPackage, capsys: Streams) -> None:
    assert run(["info", str(package.directory)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"digits, version 1: model package in {package.directory}\n")
    assert "  files        encoder.onnx, decoder.onnx, probes.npz: checksums verified\n" in said
    assert "  encoder.mean  64    3.0e-07             1e-05 + 1e-04 |r|\n" in said
    assert run(["info", str(package.directory), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "digits"


def test_info_shows_what_would_steer_a_terminal(server: "Server", capsys: Streams) -> None:
    server.script.model.name = "digits\x1b[2J\nfaked"
    server.script.model.provider = "cpu\u202e"
    server.script.model.metrics["nats\r"] = 1.0
    assert run(["info", "--target", server.target]) == 0
    said = capsys.readouterr().out
    assert said.startswith("digits\\x1b[2J\\nfaked, version 1: ")
    assert "cpu\\u202e" in said
    assert all(line.isprintable() for line in said.splitlines())


@pytest.mark.parametrize(("columns", "longest"), [("80", 80), ("1000", 100), ("1", 80)])
def test_info_wraps_what_is_long(
    contents: "Contents", tmp_path: Path, capsys: Streams, columns: str, longest: int
) -> None:
    words = "counts 0 to 16 are divided by 16, less the mean over the rows of the training set, on the way in and back"
    long = contents.manifest.model_copy(update={"preprocessing": words})
    package = ModelPackage.write(tmp_path / "long", long, contents.files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", columns)
        assert run(["info", str(package.directory)]) == 0
    heading, *lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert heading.endswith(str(package.directory))
    start = next(number for number, line in enumerate(lines) if line.startswith("  preprocessed  counts"))
    assert lines[start + 1].startswith(" " * 16)
    assert words in " ".join(line.strip() for line in lines)
    assert max(map(len, lines)) <= longest


def test_info_verifies_checksums(package: ModelPackage, capsys: Streams) -> None:
    (package.directory / "encoder.onnx").write_bytes(b"other")
    assert "wrong checksum" in refused(["info", str(package.directory)], capsys)


def test_info_of_nothing(tmp_path: Path, capsys: Streams) -> None:
    said = f"vae: {tmp_path}/absent: no such directory; a server is named with --target HOST:PORT"
    assert refused(["info", str(tmp_path / "absent")], capsys) == said
    assert "is no model package" in refused(["info", str(tmp_path)], capsys)
