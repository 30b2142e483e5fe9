"""PyTorch's exporter, faster in tests."""

import gc
import pkgutil
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


def read_operators_once() -> None:
    """Makes the exporter collect the operators that it knows once, because that takes longer than an export.

    What is exported stays the same, byte for byte. The garbage collector leaves out what is imported by now.
    """
    _read_onnxscripts_once()
    _build_registry_once()
    _collect_pytorchs_once()
    gc.collect()
    gc.freeze()


def _read_onnxscripts_once() -> None:
    versions = import_module("onnxscript._framework_apis")
    read = None
    for found in pkgutil.iter_modules(versions.__path__):
        names = vars(import_module(f"{versions.__name__}.{found.name}"))
        if "get_torchlib_ops" in names:
            read = read or cache(names["get_torchlib_ops"])
            names["get_torchlib_ops"] = read


def _build_registry_once() -> None:
    """Nothing here has operators of its own to register, so one registry does for every export."""
    registry = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
    registry.from_torchlib = staticmethod(cache(registry.from_torchlib))


def _collect_pytorchs_once() -> None:
    """No test makes an operator of its own, so PyTorch's are all that there are."""
    name = "_collect_all_valid_cia_ops"
    collect: Callable[[], Any] = cache(vars(import_module("torch._export.utils"))[name])
    import_module("torch.export.exported_program")
    for module in list(sys.modules.values()):
        if name in vars(module):
            setattr(module, name, collect)
