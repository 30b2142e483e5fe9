"""The precision of a package's encoder and decoder: its flag, and which pairs can be exported in it."""

import argparse

from vaeserve.errors import TrainingError
from vaeserve.package.contents import PairPrecision

PRECISIONS = ("float32", "fp16", "bf16")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds the flag `--precision` to a verb's parser; `precision_of` reads what it takes."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of weights and activations; fp16 is for GPUs, and is refused if answers suffer (default: float32)",
    )


def precision_of(name: str, *, must_upcast: bool = False) -> PairPrecision:
    """Returns the precision of that name.

    Args:
        name: one of PRECISIONS.
        must_upcast: whether the pair's author says that it is to run in float32 (`force_upcast` of diffusers).

    Raises:
        TrainingError: the pair cannot be exported in it.
    """
    if name == "bf16":
        raise TrainingError(
            "--precision bf16: cannot be proved, because ONNX Runtime has no bfloat16 kernels on the CPU, and on CUDA"
            " none for the convolutions of these graphs; use fp16 or float32"
        )
    if name == "fp16" and must_upcast:
        raise TrainingError(
            "--precision fp16: config.json says force_upcast, so the pair may overflow: use float32, or set it to false"
            " there if the pair was made for float16"
        )
    return "fp16" if name == "fp16" else "float32"
