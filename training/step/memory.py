"""Memory: networks that could not be held or packaged are refused before they are made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from training.likelihoods.likelihood import Likelihood
from training.networks.pair import Networks
from training.scaling import Scaling
from training.settings.config import Config
from vaeserve.errors import TrainingError
from vaeserve.sources.content import refuse_too_large

COPIES = 5  # of every weight: itself, its gradient, AdamW's two moments, the running average
GRAPH_BYTES = 2**31 - 2**24  # an ONNX file is one message of protobuf, below 2 GB; some is left for its nodes
_REFUSED = re.compile(r"allocate memory|out of memory|ALLOC_FAILED")  # by bare errors: PyTorch's CPU, CUDA, cuBLAS


def check_networks(config: Config, likelihood: Likelihood, scaling: Scaling, posterior: str) -> None:
    """Makes sure that networks fit in memory and into ONNX files; takes no memory itself.

    Raises:
        TrainingError: they do not.
    """
    with torch.device("meta"):
        networks = Networks(config, likelihood, scaling, posterior)
    sizes = {"encoder": _bytes_of(networks.encoder.body), "decoder": _bytes_of(networks.decoder.body)}
    for name, size in sizes.items():
        if size > GRAPH_BYTES:
            raise TrainingError(
                f"--hidden-sizes: the {name} would have {size // 4} weights, "
                f"at most {GRAPH_BYTES // 4} fit into a graph"
            )
    refuse_too_large(COPIES * sum(sizes.values()), "--hidden-sizes")


def is_lack_of_memory(exc: Exception) -> bool:
    """Tells whether an error of PyTorch's is that there is no more memory."""
    return isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or bool(_REFUSED.search(str(exc)))


@contextmanager
def told_on_one_line() -> Iterator[None]:
    """Turns the lack of memory into an error that says what takes it."""
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not is_lack_of_memory(exc):
            raise
        raise TrainingError(
            "memory is exhausted: try a smaller --batch-size, fewer --samples or smaller --hidden-sizes"
        ) from exc


def _bytes_of(body: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in body.parameters())
