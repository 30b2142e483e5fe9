"""Session: a graph of a package under ONNX Runtime. The only file of serving that imports onnxruntime."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from io import StringIO
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from serving.interrupt import Interrupt
from vaeserve.errors import EngineFailure, OutOfMemory, PackageError, StartupError, how_to_install
from vaeserve.package.external_data import check_weights
from vaeserve.package.manifest import Graph
from vaeserve.rows.tensors import Array
from vaeserve.runtime import is_out_of_memory, prepare_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["cpu", "cuda"]
ProviderChoice = Literal["auto", "cpu", "cuda"]

_log = logging.getLogger(__name__)

CUDA_OPTIONS = {
    # A new batch size must not start a search for the best algorithm, nor double the arena.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
    "use_tf32": "0",
}

_GIVE_BACK = ("memory.enable_memory_arena_shrinkage", "cpu:0")


class Session:
    """A graph that was checked against its manifest, on one provider.

    Raises:
        PackageError: the graph cannot be loaded, or its inputs and outputs are not what the manifest says.
        StartupError: `provider` is cuda, and the session did not get CUDA.
    """

    def __init__(self, content: bytes, graph: Graph, provider: Provider, threads: int) -> None:
        self._file, self._provider = graph.file, provider
        self._session = _open(content, graph.file, provider, threads)
        if provider == "cuda" and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise StartupError("ONNX Runtime fell back to the CPU: are CUDA 13 and cuDNN 9 there? Its log says more")
        _check_signature(self._session, graph)

    def run(
        self,
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        interrupt: Interrupt | None = None,
        *,
        gives_back: bool = False,
    ) -> list[Array]:
        """Returns the named outputs, each [batch, ...], for inputs that share their first axis.

        Args:
            feeds: inputs by name.
            outputs: which to compute.
            interrupt: what stops it.
            gives_back: whether the memory that this and earlier runs took on the CPU is given back to the system
                afterwards. The next run has to get it anew, which takes a large graph a third of its time.

        Raises:
            OutOfMemory: the batch needs more memory than there is.
            EngineFailure: ONNX Runtime failed, or was interrupted.
        """
        options = _onnxruntime().RunOptions() if gives_back or interrupt is not None else None
        if options is not None and gives_back and self._provider == "cpu":
            options.add_run_config_entry(*_GIVE_BACK)
        if interrupt is not None:
            interrupt.attach(partial(setattr, options, "terminate", True))
        try:
            results: list[Array] = self._session.run(outputs, feeds, options)
        except Exception as exc:  # onnxruntime raises many types of its own, under no common base
            if is_out_of_memory(exc):
                raise OutOfMemory(f"running {self._file} took more memory than there is") from exc
            raise EngineFailure(f"running {self._file} failed") from exc
        return results


def providers(wanted: ProviderChoice) -> tuple[Provider, ...]:
    """Returns the providers to try, in order: what was asked for; for `auto` CUDA where there is a GPU, then the CPU.

    Raises:
        StartupError: there is no ONNX Runtime, or two; or CUDA was asked for, and the wheel or the machine has none.
    """
    onnxruntime = _onnxruntime()
    if wanted == "cpu":
        return ("cpu",)
    listed = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if wanted == "cuda" and not listed:
        raise StartupError("this ONNX Runtime has no CUDA: uninstall it and " + how_to_install("serving-gpu"))
    found = listed and _gpu_found()
    if wanted == "cuda" and not found:
        raise StartupError("CUDA was asked for, but its driver finds no GPU here")
    if not found:
        return ("cpu",)
    _preload_cuda(onnxruntime)
    return ("cuda",) if wanted == "cuda" else ("cuda", "cpu")


def runtime_version() -> str:
    """Returns ONNX Runtime's version."""
    return str(_onnxruntime().__version__)


def _preload_cuda(onnxruntime: ModuleType) -> None:
    """Loads CUDA's libraries from where pip put them. What is missing it prints to stdout, which is not its own."""
    with redirect_stdout(StringIO()) as said:
        onnxruntime.preload_dlls()
    for line in said.getvalue().splitlines():
        _log.warning("%s", line)


def _gpu_found() -> bool:
    """Asks the driver, because a wheel with CUDA lists its provider on machines without a GPU too."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


@cache
def _onnxruntime() -> ModuleType:
    """Imports it late and once: by then it is known that exactly one is installed, and it is told to keep quiet."""
    prepare_onnxruntime()
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]  # ships no types


def _open(content: bytes, file: str, provider: Provider, threads: int) -> "onnxruntime.InferenceSession":
    try:
        check_weights(content)
    except ValueError as exc:
        raise PackageError(f"{file}: {exc}") from exc
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: what fails is raised, and a fallback is seen by the caller's check
    options.add_session_config_entry("session.load_model_format", "ONNX")  # which is what `check_weights` reads
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between batches take the processor from the gRPC front.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[object] = ["CPUExecutionProvider"]
    if provider == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", CUDA_OPTIONS))
    try:
        # Its own fallback would print to stdout and go on without the provider, here or at any later run.
        return onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception as exc:  # as in run()
        if provider == "cuda":
            raise StartupError(f"ONNX Runtime cannot open {file} on CUDA: {str(exc).splitlines()[0]}") from exc
        raise PackageError(f"{file}: ONNX Runtime cannot load it: {str(exc).splitlines()[0]}") from exc


def _check_signature(session: "onnxruntime.InferenceSession", graph: Graph) -> None:
    for kind, described, found in (
        ("input", graph.inputs, session.get_inputs()),
        ("output", graph.outputs, session.get_outputs()),
    ):
        in_graph = {node.name: (_dtype(node.type), _row_shape(node.shape)) for node in found}
        in_manifest = {spec.name: (spec.dtype, list(spec.row_shape)) for spec in described}
        if in_graph != in_manifest:
            differing = sorted({name for name, _ in _items(in_graph) ^ _items(in_manifest)})
            raise PackageError(f"{graph.file}: {kind} {', '.join(differing)} is not what the manifest says")


def _items(signature: Mapping[str, tuple[str, list[int]]]) -> set[tuple[str, str]]:
    return {(name, repr(value)) for name, value in signature.items()}


def _dtype(onnx_type: str) -> str:
    return {"tensor(uint8)": "uint8", "tensor(float)": "float32"}.get(onnx_type, onnx_type)


def _row_shape(shape: Sequence[int | str]) -> list[int]:
    """Returns the axes after the batch; -1 for one that is not fixed, or where the first axis is."""
    if not shape or isinstance(shape[0], int):
        return [-1]
    return [axis if isinstance(axis, int) else -1 for axis in shape[1:]]
