"""The time that ONNX Runtime needs to multiply grey images by a number: as [rows, 28, 28, 1] and as [rows, 784].

    python -m benchmarks.trailing_axis [--repeats 50]

The graphs of packages keep numbers away from an axis of 1 at the end (`training.scaling.flat`). Figures are processor
time per value, medians of alternating sides, one thread.
"""

import argparse
import sys
import time
from functools import partial
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from benchmarks.harness import alternate
from benchmarks.printing import claim

ROWS, SHAPES = 256, ((28, 28, 1), (784,))


def session(shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
    """Returns a graph that multiplies rows of a shape by 255."""
    described = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", *shape]) for name in "xy"]
    factor = helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [255.0])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])], "scaled", described[:1], described[1:], [factor]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Took(NamedTuple):
    """Time of one run."""

    nanoseconds: float  # processor time per value


def took(shape: tuple[int, ...]) -> Took:
    """Returns the processor time per value of one run, after a first run that warms the session up."""
    multiply, rows = session(shape), np.ones((ROWS, *shape), np.float32)
    multiply.run(None, {"x": rows})
    begun = time.process_time_ns()
    multiply.run(None, {"x": rows})
    return Took((time.process_time_ns() - begun) / rows.size)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    repeats: int = parser.parse_args().repeats
    medians = alternate({str(shape): partial(took, shape) for shape in SHAPES}, repeats)
    images, rows = (medians[str(shape)].nanoseconds for shape in SHAPES)
    print(f"[rows, 28, 28, 1] {images:.2f} ns per value, [rows, 784] {rows:.2f}")
    return 0 if claim("time as an image over time as a row", images / rows, 1.0) else 1


if __name__ == "__main__":
    sys.exit(main())
