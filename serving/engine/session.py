"""Session: one graph of a package in ONNX Runtime, checked against the manifest."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from serving.engine.providers import Placement, load_onnxruntime, provider_options
from serving.interrupt import Interrupt
from vaeserve.errors import EngineFailure, OutOfMemory, PackageError, StartupError
from vaeserve.package.contents import Graph
from vaeserve.package.external_data import check_weights
from vaeserve.package.footprints import bytes_at
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import free_axes, size_of_axes
from vaeserve.runtime import is_out_of_memory

if TYPE_CHECKING:
    import onnxruntime

# What a batch must take for its memory to be given back at once: giving back costs it a tenth of its time, and small
# batches half of theirs.
_LARGE_BYTES, _LARGE_PIXELS = 256 * 2**20, 512 * 512
_GIVE_BACK = ("memory.enable_memory_arena_shrinkage", "cpu:0")


class Session:
    """A graph whose inputs and outputs are those of the manifest.

    Args:
        content: the ONNX file.
        graph: the manifest's entry for it.
        placement: where it runs.

    Raises:
        PackageError: the graph cannot be loaded, or its inputs and outputs are not those of the manifest.
        StartupError: the graph should run on CUDA, and ONNX Runtime does not provide it.
    """

    def __init__(self, content: bytes, graph: Graph, placement: Placement) -> None:
        self._file, self._provider = graph.file, placement.provider
        self._session = _open(content, graph, placement)
        self._footprints = graph.footprints
        self._axes = {spec.name: spec.row_axes for spec in graph.inputs if free_axes(spec.row_axes)}
        if placement.provider == "cuda" and self._session.get_providers()[0] != "CUDAExecutionProvider":
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
        """Runs the graph on inputs of one batch, and returns the named outputs, each [batch, ...].

        Args:
            feeds: inputs by name.
            outputs: names of the outputs to compute.
            interrupt: stops the run.
            gives_back: whether to return to the system, after the run, the CPU memory of this and earlier runs. The
                next run allocates it again, which takes a large graph a third of its time.

        Raises:
            OutOfMemory: the batch needs more memory than there is.
            EngineFailure: ONNX Runtime failed, or was interrupted.
        """
        gives_back = gives_back or (bool(self._axes) and self._is_large(feeds))
        options = load_onnxruntime().RunOptions() if gives_back or interrupt is not None else None
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

    def _is_large(self, feeds: Mapping[str, Array]) -> bool:
        """Whether a batch of pictures takes so much memory that it would be kept in vain for the next one."""
        name, axes = next(iter(self._axes.items()))
        rows, *shape = feeds[name].shape
        size = size_of_axes(axes, tuple(shape))
        if size is None:
            raise AssertionError(f"{name} of shape {shape} is not a picture of any size. This is a bug.")
        if len(self._footprints) < 2:
            return bool(rows * size.pixels > _LARGE_PIXELS)
        return bool(rows * bytes_at(self._footprints, size.pixels) > _LARGE_BYTES)


def _open(content: bytes, graph: Graph, placement: Placement) -> "onnxruntime.InferenceSession":
    file = graph.file
    try:
        check_weights(content)
    except ValueError as exc:
        raise PackageError(f"{file}: {exc}") from exc
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: failures are raised, and the caller checks for a fallback
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the format that `check_weights` reads
    options.intra_op_num_threads = placement.threads
    options.inter_op_num_threads = 1
    # Threads that spin between batches would take processor time from gRPC.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if any(free_axes(spec.row_axes) for spec in graph.inputs):
        options.enable_mem_pattern = False  # a plan of memory would be kept for every size that ever came
    try:
        # ONNX Runtime's own fallback would print to stdout and go on without the provider, now or in a later run.
        session = onnxruntime.InferenceSession(
            content, options, providers=provider_options(placement.provider), enable_fallback=0
        )
    except Exception as exc:  # as in run()
        if placement.provider == "cuda":
            raise StartupError(f"ONNX Runtime cannot open {file} on CUDA: {str(exc).splitlines()[0]}") from exc
        raise PackageError(f"{file}: ONNX Runtime cannot load it: {str(exc).splitlines()[0]}") from exc
    session._model_bytes = None  # the file, as large as its weights, which it keeps for that fallback
    return session


def _check_signature(session: "onnxruntime.InferenceSession", graph: Graph) -> None:
    for kind, specs, nodes in (
        ("input", graph.inputs, session.get_inputs()),
        ("output", graph.outputs, session.get_outputs()),
    ):
        in_graph = {node.name: (_dtype(node.type), _row_shape(node.shape)) for node in nodes}
        in_manifest = {spec.name: (spec.dtype, [_length(axis) for axis in spec.row_axes]) for spec in specs}
        if in_graph != in_manifest:
            differing = sorted({name for name, _ in _items(in_graph) ^ _items(in_manifest)})
            raise PackageError(f"{graph.file}: {kind} {', '.join(differing)} is not what the manifest says")


def _items(signature: Mapping[str, tuple[str, list[int]]]) -> set[tuple[str, str]]:
    return {(name, repr(value)) for name, value in signature.items()}


def _dtype(onnx_type: str) -> str:
    return {"tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(float)": "float32"}.get(onnx_type, onnx_type)


def _row_shape(shape: Sequence[int | str]) -> list[int]:
    """Returns the axes after the batch; -1 for an axis that is not fixed, and [-1] if the batch axis is fixed."""
    if not shape or isinstance(shape[0], int):
        return [-1]
    return [_length(axis) for axis in shape[1:]]


def _length(axis: int | str) -> int:
    return axis if isinstance(axis, int) else -1
