from collections.abc import Iterator

import pytest
import torch

from training.settings.config import Config
from training.step.device import are_narrow, device_of, prepare_torch
from vaeserve.errors import TrainingError

GPU = torch.device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed_in_one_line(tiny: Config) -> None:
    with pytest.raises(TrainingError, match="--device: PyTorch finds no GPU"):
        device_of("cuda")
    assert device_of("auto").type == "cpu"


def test_a_gpu_that_is_there_and_does_not_work_is_told_in_one_line(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: all CUDA-capable devices are busy or unavailable\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", busy)
    with pytest.raises(TrainingError, match=r"^--device: the GPU cannot be used, .*: CUDA error: all .* unavailable$"):
        device_of("auto")
    assert device_of("cpu").type == "cpu"


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_products_are_narrow_where_asked_or_where_a_gpu_gains_by_it(
    has_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16 or including_emulation
    )
    assert are_narrow("auto", GPU) == has_bfloat16
    assert not are_narrow("auto", torch.device("cpu"))
    assert are_narrow("bfloat16", torch.device("cpu"))
    assert not are_narrow("float32", GPU)


@pytest.fixture
def switches() -> Iterator[None]:
    yield
    prepare_torch(1)


@pytest.mark.usefixtures("switches")
def test_float32_is_never_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    prepare_torch(1)
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.are_deterministic_algorithms_enabled()
