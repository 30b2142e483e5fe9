from pathlib import Path

import numpy as np
import pytest

from benchmarks.h2load import FRAME_BYTES
from benchmarks.peers import kserve
from benchmarks.peers.environments import MissingPeer
from benchmarks.peers.graphs import Graph
from benchmarks.peers.mosec_rig import MOSEC
from benchmarks.peers.ours import OURS
from benchmarks.peers.triton import PYTHON, TRITON, write_backend, write_repository
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

LATENT = np.arange(4, dtype=np.float32).reshape(2, 2)
ROWS = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)  # channels first


def test_ours_is_asked_for_float32_and_its_pictures_are_turned_to_channels_first() -> None:
    sent = pb.DecodeRequest.FromString(OURS.dialect.request(LATENT).body[FRAME_BYTES:])
    assert sent == pb.DecodeRequest(latent=to_message(LATENT), output=pb.DECODE_OUTPUT_EXPECTATION)
    for rows, message in ((ROWS, np.moveaxis(ROWS, 1, -1)), (LATENT, LATENT)):
        reply = pb.DecodeResponse(expectation=to_message(np.ascontiguousarray(message))).SerializeToString()
        np.testing.assert_array_equal(OURS.dialect.values(reply), rows.ravel())


def test_triton_is_asked_as_its_protocol_has_it() -> None:
    tensor = b"\x0a\x06latent" + b"\x12\x04FP32" + b"\x1a\x02\x02\x02"
    sent = b"\x0a\x07decoder" + b"\x2a" + bytes([len(tensor)]) + tensor + b"\x3a\x10" + LATENT.tobytes()
    assert TRITON.dialect.request(LATENT).body[FRAME_BYTES:] == sent
    replied = b"\x0a\x07decoder" + b"\x12\x011" + b"\x32\x60" + ROWS.tobytes()
    np.testing.assert_array_equal(kserve.values(replied), ROWS.ravel())


def test_mosec_is_sent_bytes_and_sends_bytes() -> None:
    assert MOSEC.dialect.request(LATENT).body == LATENT.tobytes()
    np.testing.assert_array_equal(MOSEC.dialect.values(ROWS.tobytes()), ROWS.ravel())


def test_triton_gets_the_shapes_of_the_graph(tmp_path: Path) -> None:
    model = write_repository(Graph(tmp_path, 64, (3, 64, 64)), tmp_path) / "decoder"
    config = (model / "config.pbtxt").read_text()
    assert 'name: "latent" data_type: TYPE_FP32 dims: [ 64 ]' in config
    assert 'name: "expectation" data_type: TYPE_FP32 dims: [ 3, 64, 64 ]' in config
    assert (model / "1" / "model.py").exists()


def test_triton_needs_a_backend_for_this_python(tmp_path: Path) -> None:
    with pytest.raises(MissingPeer, match=f"has no backend for Python {PYTHON}"):
        write_backend(tmp_path / "wheel", tmp_path / "backends")


def test_tritons_backend_is_put_together_once_and_its_program_can_be_run(tmp_path: Path) -> None:
    wheel, program = tmp_path / "wheel", "triton_python_backend_stub"
    for file in ("backends/python/library.so", f"python_backend_stubs/{PYTHON}/{program}"):
        (wheel / file).parent.mkdir(parents=True)
        (wheel / file).write_text(file)
    copy = write_backend(wheel, tmp_path / "backends") / "python" / program
    assert copy.stat().st_mode & 0o111
    assert (copy.parent / "library.so").exists()
    made = copy.stat().st_mtime_ns
    write_backend(wheel, tmp_path / "backends")
    assert copy.stat().st_mtime_ns == made
