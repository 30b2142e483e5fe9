"""What training, serving and every client share, and what users import.

    command     the command `vae`, and the verbs that need neither half
    client      clients of the service, blocking and awaited
    sources     readers of data: files and folders -> rows
    rows        rows as arrays, as messages and as images; their noise and posterior
    package     a model package: what describes it, and how it is written and opened

What all of them use:

    files       arrays in files, read safely and written whole
    runtime     checks that exactly one ONNX Runtime is installed; recognises when it runs out of memory
    slices      many rows, as many at once as there is memory for
    machine     how many processors and how much memory this process may use, and its garbage collector
    addresses   what a gRPC target names, and whether that is this machine
    records     frozen values that are read from files, and the first problem of one that is not valid
    printable   text from outside, fit for one line
    errors      every expected failure, named by whose fault it is
    v1          generated from the proto

`__main__` is `python -m vaeserve`. These modules import numpy, grpcio, protobuf, pydantic and Pillow, and never torch,
onnx or onnxruntime. Importing `vaeserve` alone loads none of them: `Client` loads gRPC, `Local` ONNX Runtime too, and
`export` PyTorch.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jobs
    from serving.local.local import Local
    from training.bring.bring import export
    from training.bring.spec import Spec
    from vaeserve.client.awaited import AsyncClient
    from vaeserve.client.blocking import Client

    __version__: str

__all__ = ["AsyncClient", "Client", "Local", "Spec", "__version__", "export", "jobs"]

_MODULES = {
    "AsyncClient": "vaeserve.client.awaited",
    "Client": "vaeserve.client.blocking",
    "Local": "serving.local.local",
    "Spec": "training.bring.spec",
    "export": "training.bring.bring",
    "jobs": "jobs.python",
}
_EXTRAS = {"serving": "serving", "training": "training,serving", "jobs": "serving,jobs"}
"""What each of them needs. Training runs the graphs that it exports on ONNX Runtime."""


def __getattr__(name: str) -> object:
    if name == "jobs":  # a package, not something in a module
        _import(name)
        return import_module(name)
    if name in _MODULES:
        return getattr(_import(name), name)
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("vaeserve")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _import(name: str) -> ModuleType:
    """Returns the module that defines a name.

    Raises:
        ModuleNotFoundError: an extra is not installed; says which.
    """
    from vaeserve.machine.collector import collector_paused

    try:
        with collector_paused():
            return import_module(_MODULES[name])
    except ModuleNotFoundError as exc:
        half, missing = _MODULES[name].partition(".")[0], exc.name or ""
        if half not in _EXTRAS or missing.partition(".")[0] in ("vaeserve", *_EXTRAS):
            raise  # one of our own modules is missing
        from vaeserve.errors import how_to_install

        remedy = how_to_install(_EXTRAS[half])
        raise ModuleNotFoundError(f"vaeserve.{name} needs {missing}: {remedy}", name=missing) from exc
