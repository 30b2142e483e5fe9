"""PyTorch reads what was written without it."""

import io

import numpy as np
import torch

from jobs.sinks.torch_file import write_torch


def test_torch_loads_the_tensors_with_its_safe_defaults() -> None:
    tensors = {
        "mean": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1),
        "std": np.array([[0.5, 2.0]], np.float32),
        "one": np.array([7], np.float32),
    }
    file = io.BytesIO()
    write_torch(file, tensors)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert loaded.keys() == tensors.keys()
    for key, expected in tensors.items():
        np.testing.assert_array_equal(loaded[key].numpy(), expected, strict=True)
        assert loaded[key].is_contiguous()


def test_the_bytes_do_not_depend_on_the_time() -> None:
    one, other = io.BytesIO(), io.BytesIO()
    for file in (one, other):
        write_torch(file, {"mean": np.ones((1, 2), np.float32)})
    assert one.getvalue() == other.getvalue()
