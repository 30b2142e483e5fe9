"""Providers: what can run graphs on this machine, and where a session is placed. The only import of onnxruntime."""

import logging
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from types import ModuleType
from typing import Literal, NamedTuple

from vaeserve.errors import StartupError, how_to_install
from vaeserve.runtime import prepare_onnxruntime

Provider = Literal["cpu", "cuda"]
ProviderChoice = Literal["auto", "cpu", "cuda"]

_log = logging.getLogger(__name__)

CUDA_OPTIONS = {
    # A new batch size must not start a search for the best algorithm, nor double the arena.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
    "use_tf32": "0",
}


class Placement(NamedTuple):
    """Where a session runs. Graphs are opened once for each placement."""

    provider: Provider
    threads: int = 1
    """Processor threads of one run. A GPU needs no more than one."""

    @classmethod
    def on(cls, provider: Provider, threads: int) -> "Placement":
        """Returns the placement of a run on so many threads, which count on the CPU alone."""
        return cls(provider, threads if provider == "cpu" else 1)


def providers(wanted: ProviderChoice) -> tuple[Provider, ...]:
    """Returns the providers to try, in order: the one asked for; for `auto`, CUDA where there is a GPU, then the CPU.

    Raises:
        StartupError: no ONNX Runtime is installed, or two are; or CUDA was asked for, and the wheel or the machine has
            none.
    """
    onnxruntime = load_onnxruntime()
    if wanted == "cpu":
        return ("cpu",)
    is_listed = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if wanted == "cuda" and not is_listed:
        raise StartupError("this ONNX Runtime has no CUDA: uninstall it and " + how_to_install("serving-gpu"))
    has_gpu = is_listed and _has_gpu()
    if wanted == "cuda" and not has_gpu:
        raise StartupError("CUDA was asked for, but its driver finds no GPU here")
    if not has_gpu:
        return ("cpu",)
    _preload_cuda(onnxruntime)
    return ("cuda",) if wanted == "cuda" else ("cuda", "cpu")


def runtime_version() -> str:
    """Returns ONNX Runtime's version."""
    return str(load_onnxruntime().__version__)


def _preload_cuda(onnxruntime: ModuleType) -> None:
    """Loads CUDA's libraries from where pip put them. What is missing ONNX Runtime prints to stdout: it is logged."""
    with redirect_stdout(StringIO()) as printed:
        onnxruntime.preload_dlls()
    for line in printed.getvalue().splitlines():
        _log.warning("%s", line)


def _has_gpu() -> bool:
    """Whether the driver finds a GPU. A wheel with CUDA lists its provider on machines without one too."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


@cache
def load_onnxruntime() -> ModuleType:
    """Imports onnxruntime late and once: exactly one is installed by then, and it is told not to log.

    Raises:
        StartupError: no ONNX Runtime is installed, or two are.
    """
    prepare_onnxruntime()
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]  # ships no types


def provider_options(provider: Provider) -> list[object]:
    """Returns the providers of one session with their options, in ONNX Runtime's terms."""
    if provider == "cuda":
        return [("CUDAExecutionProvider", CUDA_OPTIONS), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]
