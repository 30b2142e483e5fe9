"""Where a run computes, and in how many bits."""

import torch

from training.settings.config import Config
from vaeserve.errors import TrainingError, innermost


def device_of(config: Config) -> torch.device:
    """Returns where a run computes.

    Raises:
        TrainingError: a GPU was asked for and PyTorch finds none, or the one it finds cannot be used.
    """
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise TrainingError("--device: PyTorch finds no GPU that it can use")
    if not found or config.device == "cpu":
        return torch.device("cpu")
    try:
        torch.zeros(1, device="cuda").add(1).item()
    except RuntimeError as exc:
        raise TrainingError(f"--device: the GPU cannot be used, take --device cpu: {innermost(exc)}") from exc
    return torch.device("cuda")


def products(config: Config, device: torch.device) -> torch.autocast:
    """Returns the context in which the networks' products are as narrow as a run has them."""
    return torch.autocast(device.type, torch.bfloat16, enabled=are_narrow(config, device))


def are_narrow(config: Config, device: torch.device) -> bool:
    """Tells whether products are bfloat16. A GPU that has none and only imitates it would be slower by it."""
    if config.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return config.precision == "bfloat16"


def prepare_torch(config: Config) -> None:
    """Makes PyTorch compute the same bits every time, or refuse, and float32 mean float32 on a GPU too."""
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    # What is written over at once need not be filled before.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
