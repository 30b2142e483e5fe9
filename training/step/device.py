"""Where a run computes, and in how many bits."""

from typing import Literal

import torch
from torch import Tensor

from vaeserve.errors import TrainingError, innermost

Precision = Literal["auto", "float32", "bfloat16"]


def device_of(choice: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Returns where a run computes.

    Raises:
        TrainingError: a GPU was asked for but PyTorch finds none, or the GPU that it finds cannot be used.
    """
    has_gpu = torch.cuda.is_available()
    if choice == "cuda" and not has_gpu:
        raise TrainingError("--device: PyTorch finds no GPU that it can use")
    if not has_gpu or choice == "cpu":
        return torch.device("cpu")
    try:
        torch.zeros(1, device="cuda").add(1).item()
    except RuntimeError as exc:
        raise TrainingError(f"--device: the GPU cannot be used, take --device cpu: {innermost(exc)}") from exc
    return torch.device("cuda")


def near(rows: Tensor, device: torch.device) -> Tensor:
    """Returns rows on a device. If they would take more than half of its free memory, they stay where they are."""
    if device.type == "cuda" and rows.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return rows
    return rows.to(device)


def products(precision: Precision, device: torch.device) -> torch.autocast:
    """Returns the context in which the networks' products have the run's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=are_narrow(precision, device))


def are_narrow(precision: Precision, device: torch.device) -> bool:
    """Whether products are bfloat16. A GPU that only emulates it would be slower with it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16"


def prepare_torch(threads: int) -> None:
    """Makes PyTorch compute the same bits every time or refuse, and makes float32 mean float32 on a GPU too."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Memory that is overwritten at once need not be filled first.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
