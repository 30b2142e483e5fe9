"""Session: a graph of a package under ONNX Runtime. The only file of serving that imports onnxruntime."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from vae.errors import EngineFailure, PackageError, StartupError
from vae.manifest import Graph
from vae.runtime import prepare_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["cpu", "cuda"]
Array = npt.NDArray[np.number]

_CUDA_OPTIONS = {
    # A new batch size must not start a search for the best algorithm, nor double the arena.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
    "use_tf32": "0",
}
_log = logging.getLogger(__name__)


class Session:
    """A graph that was checked against its manifest, on one provider.

    Raises:
        PackageError: the graph cannot be loaded, or its inputs and outputs are not what the manifest says.
        StartupError: `provider` is cuda, and the session did not get CUDA.
    """

    def __init__(self, content: bytes, graph: Graph, provider: Provider, threads: int) -> None:
        self._file = graph.file
        self._session = _open(content, graph.file, provider, threads)
        if provider == "cuda" and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise StartupError("CUDA was asked for, but ONNX Runtime fell back to the CPU; its log says why")
        _check_signature(self._session, graph)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Returns the named outputs, each [batch, ...], for inputs that share their first axis.

        Raises:
            EngineFailure: ONNX Runtime failed.
        """
        try:
            results: list[Array] = self._session.run(outputs, feeds)
        except Exception as exc:  # onnxruntime raises many types of its own, under no common base
            raise EngineFailure(f"running {self._file} failed") from exc
        return results


def choose_provider(wanted: Literal["auto", "cpu", "cuda"]) -> Provider:
    """Returns the provider to use: what was asked for, or for `auto` CUDA where it really works.

    Raises:
        StartupError: there is no ONNX Runtime, or two; or CUDA was asked for, and this ONNX Runtime has none.
    """
    prepare_onnxruntime()
    import onnxruntime

    if wanted == "cpu":
        return "cpu"
    listed = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if not listed and wanted == "cuda":
        raise StartupError("this ONNX Runtime has no CUDA: pip install 'vaeserve[serving-gpu]'")
    if listed:
        onnxruntime.preload_dlls()
    return "cuda" if wanted == "cuda" or (listed and _cuda_works()) else "cpu"


def _cuda_works() -> bool:
    """Asks the driver, since a wheel with CUDA lists its provider on machines without a GPU too."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _open(content: bytes, file: str, provider: Provider, threads: int) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; a warning about a missing library is answered by the caller's check
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between batches take the processor from the gRPC front.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[object] = ["CPUExecutionProvider"]
    if provider == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", _CUDA_OPTIONS))
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as exc:  # as in run()
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
    return [axis for axis in shape[1:] if isinstance(axis, int)] if shape and isinstance(shape[0], str) else [-1]
