"""Verbs on a model of pictures of any size."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import Streams, refused
from tests.support.make_free_package import make, pictures
from tests.support.servers import RunningServer, StartServer
from vaeserve import Client
from vaeserve.command.cli import run
from vaeserve.command.descriptions import models_text, package_text
from vaeserve.errors import CallError
from vaeserve.package.directory import ModelPackage
from vaeserve.package.sizes import PictureSize


def write(path: Path, size: tuple[int, int]) -> None:
    """Writes a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pictures(1, PictureSize(*size), size[0])[0]).save(path)


def test_pictures_are_encoded_decoded_and_scored_at_their_size(free_server: RunningServer, tmp_path: Path) -> None:
    folder, z, y, scores = (tmp_path / name for name in ("in", "z.npz", "y.png", "s.npz"))
    write(folder / "a.png", (33, 29))
    write(folder / "b.png", (39, 31))
    to = ["--target", free_server.target]
    assert run(["encode", *to, "--input", str(folder), "--fit", "crop", "--out", str(z)]) == 0
    with np.load(z) as archive:
        assert set(archive.files) == {"latent", "fingerprint", "files", "places"}
        assert archive["latent"].shape == (2, 4, 4, 3)
        assert archive["places"].tolist() == [[33, 29, 0, -2], [39, 31, -3, -3]]
    assert run(["decode", *to, "--input", str(z), "--out", str(y)]) == 0
    with Image.open(y) as picture:
        assert picture.size == (2 * 48 + 2, 64)  # both are enlarged, with a gap between them
    assert run(["reconstruct", *to, "--input", str(folder), "--fit", "pad", "--out", str(scores)]) == 0
    with np.load(scores) as archive:
        assert archive["output"].shape == (2, 40, 32, 3)
        assert archive["places"].tolist() == [[33, 29, 0, 0], [39, 31, 0, 0]]
        assert {"kl", "squared_error"} <= set(archive.files)


def test_an_array_of_any_size_is_taken(free_server: RunningServer, tmp_path: Path) -> None:
    for size in (PictureSize(16, 24), PictureSize(256, 256)):
        data, out = tmp_path / "x.npy", tmp_path / "z.npz"
        np.save(data, pictures(20, size))
        assert run(["encode", "--target", free_server.target, "--input", str(data), "--out", str(out)]) == 0
        with np.load(out) as archive, Client(free_server.target) as client:
            assert "places" not in archive
            np.testing.assert_array_equal(archive["latent"], client.encode(np.load(data)).latent)


def test_a_size_is_sampled(free_server: RunningServer, tmp_path: Path) -> None:
    sample = ["sample", "--target", free_server.target, "--count", "5", "--seed", "7"]
    assert run([*sample, "--size", "40x24", "--out", str(tmp_path / "x.npy")]) == 0
    rows = np.load(tmp_path / "x.npy")
    assert rows.shape == (5, 24, 40, 3)
    with Client(free_server.target) as client:
        np.testing.assert_array_equal(client.sample(5, seed=7, size=(24, 40)).output, rows)
    assert run([*sample, "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (3 * 50 - 2, 2 * 34 - 2)


def test_what_is_refused_takes_one_line(free_server: RunningServer, tmp_path: Path, capsys: Streams) -> None:
    folder, array, out = tmp_path / "in", tmp_path / "x.npy", str(tmp_path / "z.npz")
    write(folder / "a.png", (24, 32))
    write(folder / "b.png", (32, 24))
    np.save(array, pictures(2, PictureSize(16, 16)))
    encode = ["encode", "--target", free_server.target, "--out", out, "--input"]
    mixed = f"vae: {folder / 'b.png'}: comes to 24 x 32 pixels, {folder / 'a.png'} to 32 x 24, and one array holds one"
    assert refused([*encode, str(folder)], capsys).startswith(mixed)
    assert refused([*encode, str(folder), "--skip-bad", "--fit", "pad"], capsys).startswith(mixed)
    assert "--fit: is for pictures; " in refused([*encode, str(array), "--fit", "crop"], capsys)
    write(folder / "a.png", (25, 32))
    said = refused([*encode, str(folder / "a.png")], capsys)
    assert said.startswith(f"vae: {folder / 'a.png'}: is 32 x 25 pixels, height and width must be multiples of 8 in")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert "the model takes images of shape [height, width, 3]" in refused([*encode, str(tmp_path / "t.csv")], capsys)
    sample = ["sample", "--target", free_server.target, "--count", "1", "--out", str(tmp_path / "y.npy")]
    assert refused([*sample, "--size", "40x25"], capsys).startswith(
        "vae: size: is 40 x 25 pixels, height and width must"
    )
    for text in ("40", "40x", "x40", "-8x16", "40x24x3"):
        assert "must be WIDTHxHEIGHT in pixels, for example 448x576" in refused([*sample, f"--size={text}"], capsys, 2)


def test_a_model_of_one_size_takes_neither(server: object, tmp_path: Path, capsys: Streams) -> None:
    to, out = ["--target", server.target], ["--out", str(tmp_path / "y.npz")]  # type: ignore[attr-defined]
    write(tmp_path / "a.png", (24, 32))
    encode = ["encode", *to, *out, "--input", str(tmp_path / "a.png"), "--fit", "crop"]
    assert refused(encode, capsys) == "vae: --fit: is for models of many sizes; this one takes rows of shape [8, 8, 1]"
    said = refused(["sample", *to, *out, "--count", "1", "--size", "8x8"], capsys)
    assert said == "vae: size: is for models of many sizes; every row of digits has shape [8, 8, 1]"


def test_what_needs_a_prior_says_so(start_server: StartServer, tmp_path: Path, capsys: Streams) -> None:
    server = start_server(package=make(tmp_path / "free", priors=(), default_prior="").directory)
    out = ["--out", str(tmp_path / "y.npy")]
    said = refused(["sample", "--target", server.target, "--count", "1", *out], capsys)
    assert said == "vae: FAILED_PRECONDITION: model free has no prior, so nothing can be sampled from it"
    said = refused(["bench", "--target", server.target], capsys)
    assert said == "vae: rpc: is sample, and model free has no prior: choose another --rpc"
    np.save(tmp_path / "x.npy", pictures(2, PictureSize(16, 16)))
    scores = tmp_path / "s.csv"
    rows = ["--input", str(tmp_path / "x.npy"), "--out", str(scores)]
    assert run(["reconstruct", "--target", server.target, *rows]) == 0
    assert scores.read_text().splitlines()[0] == "row,squared_error"
    with Client(server.target) as client:
        with pytest.raises(CallError) as unsampled:
            client.sample(1)
        assert unsampled.value.reason == "NO_PRIOR"
        scored = client.reconstruct(pictures(2, PictureSize(16, 16)))
        assert (scored.kl, scored.elbo, scored.log_likelihood) == (None, None, None)
        text = models_text(client.list_models(), server.target)
    assert "none: not for sampling" in text


def test_a_description_tells_the_sizes(free: Path, free_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with Client(free_server.target) as client:
        model = client.get_model()
    limits = model.limits.model_copy(update={"encode_pixels": 4096, "decode_pixels": 65_536})
    text = models_text([model.model_copy(update={"limits": limits})], "host:1")
    sizes = "height and width multiples of 8 in [16, 256]; 48 x 32 (width x height) if none is named"
    for said in (sizes, "at most 4,096 to encode, at most 65,536 to decode", "at most 16,384 rows of 16 x 16 and"):
        assert said in " ".join(text.split())
    assert sizes in " ".join(package_text(ModelPackage.open(free)).split())


@pytest.mark.parametrize("rpc", ["sample", "encode", "decode", "reconstruct"])
def test_bench_sends_one_size(free_server: RunningServer, rpc: str, capsys: Streams) -> None:
    load = ["--rows", "2", "--concurrency", "2", "--duration", "0.2", "--warmup", "0", "--rpc", rpc]
    bench = ["bench", "--target", free_server.target, *load]
    assert run([*bench, "--size", "64x32", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["size"] == [32, 64]
    assert report["points"][0]["answered"] > 0
    assert run(bench) == 0
    assert "; pictures of 48 x 32\n" in capsys.readouterr().out
