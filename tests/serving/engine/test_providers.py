"""Which providers are tried, and where sessions are placed."""

import pytest

from serving.engine.providers import Placement, providers
from vaeserve.errors import StartupError


def test_threads_tell_placements_apart_on_the_cpu_alone() -> None:
    assert Placement.on("cpu", 2) != Placement.on("cpu", 4)
    assert Placement.on("cuda", 2) == Placement.on("cuda", 4) == Placement("cuda")


def test_cuda_is_an_error_where_the_wheel_has_none() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(StartupError, match="serving-gpu"):
        providers("cuda")
    assert providers("auto") == ("cpu",)
