import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Streams, refused
from vaeserve.command.cli import run
from vaeserve.package.directory import ModelPackage
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Contents, Server


def test_info_describes_a_server(server: "Server", capsys: Streams) -> None:
    assert run(["info", "--target", server.target]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"digits, version 1: served at {server.target}\n")
    assert "  calls        at most 8 rows and 1,048,576 bytes each\n" in said
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
    assert "is not a model package" in refused(["info", str(tmp_path)], capsys)
