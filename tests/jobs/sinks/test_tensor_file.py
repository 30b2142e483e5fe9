"""Safetensors files are read by the library, and have the same bytes in every process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from jobs.sinks.tensor_file import write_tensors
from tests.support.servers import ROOT
from vaeserve.package.row_spec import Array

TENSORS: dict[str, Array] = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1, 2], np.int64),
    "half": np.ones((2, 1, 2, 2), np.float16),
    "none": np.zeros((0, 4), np.float32),
    "bytes": np.arange(5, dtype=np.uint8),
}
METADATA = {f"key {number}": f"värde {number}" for number in range(20)}


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        write_tensors(file, TENSORS, METADATA)
    tensors = safetensors.numpy.load_file(path)
    assert tensors.keys() == TENSORS.keys()
    for key, expected in TENSORS.items():
        np.testing.assert_array_equal(tensors[key], expected, strict=True)
    with safetensors.safe_open(path, "np") as opened:
        assert opened.metadata() == METADATA


def test_every_process_writes_the_same_bytes() -> None:
    code = (
        "import io, hashlib\n"
        "from jobs.sinks.tensor_file import write_tensors\n"
        "from tests.jobs.sinks.test_tensor_file import METADATA, TENSORS\n"
        "file = io.BytesIO()\n"
        "write_tensors(file, dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))\n"
        "write_tensors(file, TENSORS, METADATA)\n"
        "half = len(file.getvalue()) // 2\n"
        "assert file.getvalue()[:half] == file.getvalue()[half:]\n"
        "print(hashlib.sha256(file.getvalue()).hexdigest())\n"
    )
    hashes = {
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True).stdout for _ in range(3)
    }
    assert len(hashes) == 1
