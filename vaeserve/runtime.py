"""What both halves know of ONNX Runtime: whether just one is installed, and whether an error means lack of memory."""

import os
import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from vaeserve.errors import StartupError, how_to_install

_WHEELS = ("onnxruntime", "onnxruntime-gpu")
# How the allocators of the CPU and of CUDA, and CUDA's libraries, say it.
_OUT_OF_MEMORY = re.compile(r"failed to allocate|out of memory|bad_alloc|CUDA_ERROR_OUT_OF_MEMORY|ALLOC_FAILED", re.I)


def prepare_onnxruntime(extras: str = "serving") -> None:
    """Makes sure that one ONNX Runtime is installed, and that it sends no usage data. Call it before the first import.

    `onnxruntime` and `onnxruntime-gpu` provide the same module: with both installed the last one wins, and pip says
    nothing. Since 1.29 the Linux wheels send usage events to their maker unless told not to.

    Args:
        extras: the extras that the error advises to install: `serving`, alone or with others.

    Raises:
        StartupError: none is installed, or both are, side by side.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise StartupError(f"no ONNX Runtime: {how_to_install(extras)} (serving-gpu in place of serving for CUDA)")
    named = chain.from_iterable(distributions(name=wheel) for wheel in _WHEELS)  # all would take 50 ms to read
    wheels = installed_wheels(named, Path(spec.origin).parent)
    if len(wheels) > 1:
        raise StartupError(
            f"{' and '.join(wheels)} are both installed and overwrite each other: pip uninstall both, then install one"
        )


def is_out_of_memory(exc: Exception) -> bool:
    """Whether an error of ONNX Runtime means that memory ran out. It has no class for that."""
    return isinstance(exc, MemoryError) or bool(_OUT_OF_MEMORY.search(str(exc)))


def installed_wheels(installed: Iterable[Distribution], module: Path) -> list[str]:
    """Returns the names of the ONNX Runtime wheels that put their files where the module lies."""
    names = {
        name
        for distribution in installed
        if (name := distribution.name.lower().replace("_", "-")) in _WHEELS
        and Path(str(distribution.locate_file("onnxruntime"))).resolve() == module.resolve()
    }
    return sorted(names)
