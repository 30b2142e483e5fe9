"""The client and its verbs against a real server, and the documents' own examples."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.servers import ROOT, RunningServer, RunVae, StartServer
from vaeserve import AsyncClient, Client
from vaeserve.errors import CallError, InvalidInput
from vaeserve.rows.noise import Purpose, RowRange, standard_normals


def test_the_description_is_the_packages(server: RunningServer) -> None:
    with Client(server.target) as client:
        model = client.get_model()
    assert (model.name, model.data.shape, model.latent_shape) == ("tiny", (4, 4, 1), (3,))
    assert model.posterior == "gaussian"
    assert model.limits.request_bytes == 64 * 2**20


def test_a_draw_is_the_same_however_it_is_split(start_server: StartServer) -> None:
    small = start_server("--call-rows", "7", "--batch-rows", "5")
    large = start_server()
    with Client(small.target) as one, Client(large.target) as other:
        parts = one.sample(100, seed=7, first_row=3, include_latent=True)
        whole = other.sample(100, seed=7, first_row=3, include_latent=True)
    np.testing.assert_array_equal(parts.output, whole.output)
    np.testing.assert_array_equal(parts.latent, standard_normals(Purpose.PRIOR, [RowRange(7, 3, 100)], 3))

    async def draw() -> np.ndarray:
        async with AsyncClient(small.target) as client:
            return (await client.sample(100, seed=7, first_row=3)).output

    np.testing.assert_array_equal(asyncio.run(draw()), whole.output)


def test_requests_up_to_the_limit_are_taken(start_server: StartServer) -> None:
    server = start_server("--message-bytes", str(2**16), "--call-rows", "16384", "--queue-rows", "16384")
    rows = np.zeros((9000, 4, 4, 1), np.uint8)  # more than two requests' worth of bytes
    with Client(server.target) as client:
        encoded = client.encode(rows, output="moments")
        assert client.decode(encoded).output.shape == rows.shape


def test_images_travel_both_ways_however_they_are_split(start_server: StartServer) -> None:
    server = start_server("--call-rows", "7")
    rows = np.random.default_rng(0).integers(0, 17, (20, 4, 4, 1), np.uint8)
    with Client(server.target) as client:
        plain = client.encode(rows)
        sampled = client.sample(20, seed=7, output="png")
        assert sampled.output.shape == (20,)
        drawn = client.sample(20, seed=7).output
        np.testing.assert_array_equal(client.encode(sampled.output).latent, client.encode(drawn).latent)
        files = client.decode(plain, output="png").output
        scored = client.reconstruct(list(files), output="png")
        np.testing.assert_array_equal(scored.elbo, client.reconstruct(client.decode(plain).output).elbo)
        with pytest.raises(InvalidInput, match=r"^data\[1\]: is not a PNG, JPEG or WebP"):
            client.encode([files[0], b"GIF89a"])
        with pytest.raises(CallError, match="is not an intact PNG") as err:
            client.encode([files[0], files[1][:40] + b"\0" + files[1][41:]])
        assert err.value.field == "images.images[1]"

    async def encode() -> np.ndarray:
        async with AsyncClient(server.target) as client:
            return (await client.encode(sampled.output, dtype="float16")).latent

    short = asyncio.run(encode())
    assert short.dtype == np.float16


def test_float16_is_lossless_for_what_is_float16(server: RunningServer) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (20, 4, 4, 1), np.uint8)
    with Client(server.target) as client:
        short, wide = client.encode(rows, dtype="float16"), client.encode(rows)
        np.testing.assert_array_equal(short.latent, wide.latent.astype(np.float16), strict=True)
        same = client.decode(short.latent.astype(np.float32), output="expectation", dtype="float16")
        np.testing.assert_array_equal(
            client.decode(short, output="expectation", dtype="float16").output, same.output, strict=True
        )
        assert same.output.dtype == np.float16


def test_a_posterior_is_drawn_by_row(server: RunningServer) -> None:
    rows = np.arange(10 * 16).reshape(10, 4, 4, 1) % 17
    with Client(server.target) as client:
        whole = client.encode(rows, output="sample", seed=2**64 - 1, first_row=2**63 - 10)
        tail = client.encode(rows[6:], output="sample", seed=2**64 - 1, first_row=2**63 - 4)
    np.testing.assert_array_equal(whole.latent[6:], tail.latent)


def test_a_reconstruction_is_scored_row_by_row_however_it_is_split(
    server: RunningServer, start_server: StartServer
) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (40, 4, 4, 1))
    with Client(server.target) as large, Client(start_server("--call-rows", "7").target) as small:
        for draw in ({}, {"latent": "sample", "seed": 3, "first_row": 9}):
            whole, parts = (client.reconstruct(rows, **draw) for client in (large, small))  # type: ignore[arg-type]
            assert whole.log_likelihood is not None
            assert whole.kl is not None
            assert whole.elbo is not None
            np.testing.assert_array_equal(whole.elbo, whole.log_likelihood - whole.kl)
            for name in ("output", "log_likelihood", "kl", "elbo", "squared_error"):
                np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
            assert whole.squared_error.shape == (40,)
        assert np.array_equal(
            whole.output, large.decode(large.encode(rows, output="sample", seed=3, first_row=9)).output
        )

    async def reconstruct() -> np.ndarray:
        async with AsyncClient(server.target) as client:
            return (await client.reconstruct(rows, latent="sample", seed=3, first_row=9)).squared_error

    np.testing.assert_array_equal(asyncio.run(reconstruct()), whole.squared_error)


def test_latents_of_another_pair_are_refused(server: RunningServer) -> None:
    with Client(server.target) as client, pytest.raises(CallError, match="come from pair") as err:
        client.decode(np.zeros((1, 3)), fingerprint="b" * 64)
    assert (err.value.code, err.value.reason) == ("FAILED_PRECONDITION", "FINGERPRINT_MISMATCH")


def test_unknown_names(server: RunningServer) -> None:
    with Client(server.target) as client:
        with pytest.raises(CallError) as err:
            client.get_model("other")
        assert err.value.code == "NOT_FOUND"
        with pytest.raises(CallError) as err:
            client.sample(1, prior="other")
        assert (err.value.code, err.value.field) == ("INVALID_ARGUMENT", "prior")


def test_a_full_queue_is_waited_for(start_server: StartServer) -> None:
    server = start_server("--queue-rows", "64", "--call-rows", "64", "--batch-rows", "8")

    async def crowd() -> list[int]:
        async with AsyncClient(server.target) as client:
            draws = (client.sample(64, seed=seed) for seed in range(40))
            return [len(sampled.output) for sampled in await asyncio.gather(*draws)]

    assert asyncio.run(crowd()) == [64] * 40


def test_verbs(server: RunningServer, vae: RunVae, tmp_path: Path) -> None:
    names = ("grid.png", "x.npy", "z.npz", "y.npy")
    grid, data, latents, again = (tmp_path / name for name in names)
    for arguments in (
        ["sample", "--target", server.target, "--count", "64", "--seed", "7", "--out", grid],
        ["sample", "--target", server.target, "--count", "64", "--seed", "7", "--out", data],
        ["encode", "--target", server.target, "--input", data, "--out", latents],
        ["decode", "--target", server.target, "--input", latents, "--out", again],
        ["info", "--target", server.target],
    ):
        done = vae(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert np.load(again).shape == (64, 4, 4, 1)


EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_api_document(server: RunningServer, tiny: Path, example: str) -> None:
    code = example.replace("127.0.0.1:50051", server.target).replace("runs/digits/model", str(tiny))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
