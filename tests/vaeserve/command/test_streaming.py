"""What verbs send as jobs: over streams, as bulk work, with a bar on a terminal, through the standard streams."""

import csv
import io
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from tests.support.servers import ROOT, VAE, RunningServer, RunVae, StartServer
from vaeserve import Client
from vaeserve.command.cli import run
from vaeserve.command.streaming import joined, slices
from vaeserve.errors import CallError

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

Streams = pytest.CaptureFixture[str]
DATA = np.random.default_rng(0).integers(0, 17, (50_000, 4, 4, 1), np.uint8)


def piped(*arguments: str | Path, target: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs a verb between two pipes."""
    command = [*VAE, *map(str, arguments), "--target", target]
    return subprocess.run(command, check=False, input=given, capture_output=True, timeout=100, cwd=ROOT)


def arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in archive.files}


def test_jobs_are_bulk_work_over_streams(server: "Server", tmp_path: Path) -> None:
    data, latents = tmp_path / "x.npy", tmp_path / "z.npz"
    np.save(data, np.arange(20 * 64).reshape(20, 8, 8, 1) % 17)
    to = ["--target", server.target, "--out"]
    assert run(["encode", "--input", str(data), *to, str(latents)]) == 0
    assert run(["decode", "--input", str(latents), *to, str(tmp_path / "y.npy")]) == 0
    assert run(["sample", "--count", "20", *to, str(tmp_path / "y.npy")]) == 0
    assert run(["reconstruct", "--input", str(data), *to, str(tmp_path / "s.csv")]) == 0
    received = server.script.received
    assert {"CallStream", "SampleStream"} <= {one.method for one in received}
    assert {one.metadata["vae-class"] for one in received} == {"bulk"}


def test_jobs_answer_the_bytes_of_single_calls(server_of_tiny: RunningServer, tmp_path: Path) -> None:
    data, out = tmp_path / "x.npy", tmp_path / "out.npz"
    np.save(data, DATA)
    to = ["--target", server_of_tiny.target, "--out", str(out)]
    with Client(server_of_tiny.target) as client:
        drawn = ["--output", "sample", "--seed", "7", "--first-row", "9"]
        assert run(["encode", "--input", str(data), *drawn, *to]) == 0
        encoded = client.encode(DATA, output="sample", seed=7, first_row=9)
        np.testing.assert_array_equal(np.load(out)["latent"], encoded.latent)
        latents = tmp_path / "z.npy"
        np.save(latents, encoded.latent)
        assert run(["decode", "--input", str(latents), "--expectation", *to]) == 0
        np.testing.assert_array_equal(
            np.load(out)["output"], client.decode(encoded, output="expectation", fingerprint="").output
        )
        assert run(["sample", "--count", "50000", "--seed", "7", "--first-row", "9", "--with-latent", *to]) == 0
        sampled = client.sample(50_000, seed=7, first_row=9, include_latent=True)
        np.testing.assert_array_equal(np.load(out)["latent"], sampled.latent)
        np.testing.assert_array_equal(np.load(out)["output"], sampled.output)
        assert run(["reconstruct", "--input", str(data), "--latent", "sample", "--seed", "7", *to]) == 0
        scored = client.reconstruct(DATA, latent="sample", seed=7)
        for name in ("log_likelihood", "kl", "elbo", "squared_error", "output"):
            np.testing.assert_array_equal(np.load(out)[name], getattr(scored, name))


def test_a_wrong_row_is_named_by_its_file_and_its_number_there(
    server_of_tiny: RunningServer, tmp_path: Path, capsys: Streams
) -> None:
    data = DATA.copy()
    data[49_999, 0, 0, 0] = 99
    np.save(tmp_path / "x.npy", data)
    np.savez(tmp_path / "x.npz", data)
    for file in (tmp_path / "x.npy", tmp_path / "x.npz"):
        encode = ["encode", "--target", server_of_tiny.target, "--input", str(file)]
        assert run([*encode, "--out", str(tmp_path / "z.npz")]) == 1
        assert capsys.readouterr().err == f"vae: {file}: 99 in row 49999 at [0, 0, 0] must lie in [0, 16]\n"
    assert not (tmp_path / "z.npz").exists()


def test_verbs_read_and_write_standard_streams(server_of_tiny: RunningServer) -> None:
    target = server_of_tiny.target
    sampled = piped("sample", "--count", "300", "--seed", "3", "--out", "-", target=target)
    assert sampled.stderr == b"standard output: 300 rows, drawn with seed 3 from row 0\n"
    encoded = piped("encode", "--input", "-", "--out", "-", target=target, given=sampled.stdout)
    decoded = piped("decode", "--input", "-", "--out", "-", "--format", "npz", target=target, given=encoded.stdout)
    with Client(target) as client:
        rows = client.sample(300, seed=3).output
        latents = client.encode(rows)
        np.testing.assert_array_equal(np.load(io.BytesIO(sampled.stdout)), rows)
        np.testing.assert_array_equal(arrays(encoded.stdout)["latent"], latents.latent)
        np.testing.assert_array_equal(arrays(decoded.stdout)["output"], client.decode(latents).output)
    picture = piped("sample", "--count", "4", "--out", "-", "--format", "png", target=target).stdout
    with Image.open(io.BytesIO(picture)) as drawn:
        assert drawn.size == (2 * 50 - 2, 2 * 50 - 2)


def test_one_image_comes_through_standard_input(server_of_tiny: RunningServer) -> None:
    target, file = server_of_tiny.target, io.BytesIO()
    Image.new("L", (4, 4), 255).save(file, "PNG")
    done = piped("encode", "--input", "-", "--out", "-", target=target, given=file.getvalue())
    with Client(target) as client:
        np.testing.assert_array_equal(arrays(done.stdout)["latent"], client.encode([file.getvalue()]).latent)
    for given, said in (
        (b"", b"vae: standard input: is empty\n"),
        (b"\x93NUMPY, or not", b"vae: standard input: is not an .npy file of plain values\n"),
        (b"nonsense", b"vae: standard input: is not a PNG, JPEG or WebP\n"),
    ):
        wrong = piped("encode", "--input", "-", "--out", "-", target=target, given=given)
        assert (wrong.returncode, wrong.stdout, wrong.stderr) == (1, b"", said)


def test_a_format_is_told_once(tmp_path: Path, capsys: Streams) -> None:
    assert run(["sample", "--count", "1", "--out", str(tmp_path / "x.npy"), "--format", "png"]) == 2
    assert capsys.readouterr().err.startswith(
        "vae: --format is only for --out -; the ending of a file name says its format;"
    )


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_scores_are_written_as_tables(
    server_of_tiny: RunningServer, tmp_path: Path, capsys: Streams, suffix: str, images: bool
) -> None:
    given, out = [tmp_path / "x.npy"], tmp_path / f"s{suffix}"
    np.save(given[0], DATA[:3])
    if images:
        given = [tmp_path / f"{number}.png" for number in range(3)]
        for path, value in zip(given, (0, 51, 255), strict=True):
            Image.new("L", (4, 4), value).save(path)
    reconstruct = ["reconstruct", "--target", server_of_tiny.target, "--input", *map(str, given), "--out", str(out)]
    assert run(reconstruct) == 0
    assert capsys.readouterr().out == f"{out}: scores of 3 rows\n"
    with Client(server_of_tiny.target) as client:
        scored = client.reconstruct([path.read_bytes() for path in given] if images else DATA[:3])
    scores = {name: getattr(scored, name) for name in ("log_likelihood", "kl", "elbo", "squared_error")}
    names = {"file": [str(path) for path in given]} if images else {"row": [0, 1, 2]}
    if suffix == ".npz":
        written = arrays(out.read_bytes())
        assert written.pop("fingerprint") == scored.fingerprint
        assert written.pop("files", np.array([])).tolist() == names.get("file", [])
        np.testing.assert_array_equal(written.pop("output"), scored.output)
    elif suffix == ".parquet":
        table = pyarrow.parquet.read_table(out)
        assert table.schema.metadata[b"fingerprint"].decode() == scored.fingerprint
        written = {name: np.array(table[name].to_pylist(), np.float32) for name in scores}
        assert table.column_names == [*names, *scores]
        assert {name: table[name].to_pylist() for name in names} == names
    else:
        lines = list(csv.DictReader(io.StringIO(out.read_text())))
        assert list(lines[0]) == [*names, *scores]
        assert [[line[name] for line in lines] for name in names] == [list(map(str, told)) for told in names.values()]
        written = {name: np.array([line[name] for line in lines], np.float32) for name in scores}
    assert written.keys() == scores.keys()
    for name, values in scores.items():
        np.testing.assert_array_equal(written[name], values)


def test_scores_that_a_model_has_not_are_left_out(server: "Server", tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 1), np.uint8))
    reconstruct = ["reconstruct", "--target", server.target, "--input", str(tmp_path / "x.npy")]
    assert run([*reconstruct, "--out", str(tmp_path / "s.csv")]) == 0
    assert (tmp_path / "s.csv").read_text() == "row,squared_error\n0,0.0\n1,1.0\n"


def test_parquet_needs_arrow(
    server: "Server", tmp_path: Path, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 1), np.uint8))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "s.parquet"
    reconstruct = ["reconstruct", "--target", server.target, "--input", str(tmp_path / "x.npy"), "--out", str(out)]
    assert run(reconstruct) == 1
    assert capsys.readouterr().err == f"vae: {out}: needs pyarrow: pip install pyarrow, or write .csv or .npz\n"
    assert server.script.received == []


def test_pieces_of_two_pairs_do_not_belong_together(server_of_tiny: RunningServer) -> None:
    with Client(server_of_tiny.target) as client:
        one = client.encode(DATA[:1])
        model = client.get_model()
    assert [len(rows) for rows in slices(DATA, model)] == [16384, 16384, 16384, 848]
    assert len(joined([one, one], 2).latent) == 2
    with pytest.raises(CallError, match="ABORTED: the model was replaced") as replaced:
        joined([one, one._replace(fingerprint="f" * 64)], 2)
    assert replaced.value.reason == "MODEL_REPLACED"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (">/dev/full", "vae: standard output: No space left on device\n"),
        (">&-", "vae: --out: - is closed: there is no standard output to write to\n"),
    ],
)
def test_rows_that_standard_output_does_not_take_are_no_success(
    server_of_tiny: RunningServer, where: str, said: str
) -> None:
    command = [*VAE, "sample", "--target", server_of_tiny.target, "--count", "2", "--out", "-"]
    shell = ["sh", "-c", f'exec "$@" {where}', "sh", *command]
    done = subprocess.run(shell, check=False, stderr=subprocess.PIPE, text=True, timeout=100, cwd=ROOT)
    assert (done.returncode, done.stderr.splitlines(keepends=True)[0]) == (1, said)


@contextmanager
def on_a_terminal(*command: str) -> Iterator[tuple["subprocess.Popen[str]", Iterator[str]]]:
    """Runs a command whose stderr is a terminal of 80 columns, and gives what is shown there, as it comes."""
    terminal, other_side = pty.openpty()
    termios.tcsetwinsize(other_side, (24, 80))
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other_side, cwd=ROOT, text=True)
    os.close(other_side)

    def shown() -> Iterator[str]:
        with suppress(OSError):  # Linux's way to tell that nobody writes any more
            while chunk := os.read(terminal, 65536):
                yield chunk.decode(errors="replace")

    try:
        with running:
            yield running, shown()
    finally:
        os.close(terminal)


def test_a_job_with_a_bar_outlives_its_server(start_server: StartServer, port: str, tmp_path: Path) -> None:
    server = start_server("--port", port)
    count, out = 500_000, tmp_path / "x.npy"
    sample = ["sample", "--target", server.target, "--count", str(count), "--seed", "3", "--out", str(out)]
    with on_a_terminal(*VAE, *sample) as (sampling, shown):
        said = ""
        while f"/{count} rows |" not in said:
            said += next(shown)
        server.process.kill()
        server.process.wait()
        again = threading.Thread(target=start_server, args=("--port", port))
        again.start()
        said += "".join(shown)
        assert sampling.stdout is not None
        assert sampling.stdout.read() == f"{out}: {count} rows, drawn with seed 3 from row 0\n", said
        again.join()
    with Client(server.target) as client:
        for first in (0, count // 2, count - 1000):
            rows = client.sample(1000, seed=3, first_row=first).output
            np.testing.assert_array_equal(np.load(out)[first : first + 1000], rows)


def test_nothing_is_drawn_into_a_pipe(server_of_tiny: RunningServer, vae: RunVae, tmp_path: Path) -> None:
    out = tmp_path / "x.npy"
    done = vae("sample", "--target", server_of_tiny.target, "--count", "40000", "--seed", "3", "--out", out)
    assert (done.stderr, done.stdout) == ("", f"{out}: 40000 rows, drawn with seed 3 from row 0\n")
