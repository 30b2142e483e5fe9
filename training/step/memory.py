"""Memory: networks that do not fit in memory or into a package are refused before they are built."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from training.networks.pair import Networks
from vaeserve.errors import InvalidInput, TrainingError
from vaeserve.sources.room import refuse_too_large

COPIES = 6  # of every weight: itself, its gradient, AdamW's two moments, the running average, that of the best epoch
GRAPH_BYTES = 2**31 - 2**24  # an ONNX file is one message of protobuf, below 2 GB; the rest is left for its nodes
_REFUSED = re.compile(r"allocate memory|out of memory|ALLOC_FAILED")  # in untyped errors of PyTorch's CPU, CUDA, cuBLAS


def check_networks(build: Callable[[], Networks]) -> None:
    """Makes sure that networks fit in memory, and the pair into ONNX files. Takes no memory itself.

    Raises:
        TrainingError: they do not.
    """
    with torch.device("meta"):
        networks = build()
    for name, part in (("encoder", networks.encoder), ("decoder", networks.decoder)):
        size = _bytes_of(part.body)
        if size > GRAPH_BYTES:
            raise TrainingError(
                f"--hidden-sizes: the {name} would have {size // 4} weights, "
                f"at most {GRAPH_BYTES // 4} fit into a graph"
            )
    try:
        refuse_too_large(COPIES * _bytes_of(networks), "--hidden-sizes")
    except InvalidInput as exc:
        raise TrainingError(str(exc)) from exc


def is_lack_of_memory(exc: Exception) -> bool:
    """Whether an error of PyTorch's means that memory is exhausted."""
    return isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or bool(_REFUSED.search(str(exc)))


@contextmanager
def lack_of_memory_in_one_line() -> Iterator[None]:
    """Turns a lack of memory into a one-line error that names the settings to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not is_lack_of_memory(exc):
            raise
        raise TrainingError(
            "memory is exhausted: try a smaller --batch-size, fewer --samples or smaller --hidden-sizes"
        ) from exc


def _bytes_of(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())
