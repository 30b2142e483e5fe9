"""PyTorch's exporter, faster in tests."""

import pkgutil
from functools import cache
from importlib import import_module


def read_operators_once() -> None:
    """Makes the exporter read onnxscript's operators once in a process: at every export it takes a third of the time.

    What is exported stays the same, byte for byte.
    """
    versions = import_module("onnxscript._framework_apis")
    read = None
    for found in pkgutil.iter_modules(versions.__path__):
        names = vars(import_module(f"{versions.__name__}.{found.name}"))
        if "get_torchlib_ops" in names:
            read = read or cache(names["get_torchlib_ops"])
            names["get_torchlib_ops"] = read
