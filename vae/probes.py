"""Compares a graph's outputs with reference ones: at export with PyTorch's, at load with the package's probes."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vae.manifest import DataSpec, Tolerance

Arrays = Mapping[str, npt.NDArray[np.number]]


class Comparison(NamedTuple):
    """One output against its reference."""

    output: str
    largest_difference: float
    bound: str
    """What was allowed, in words."""
    passed: bool


def compare(outputs: Arrays, references: Arrays, data: DataSpec, tolerance: Tolerance) -> list[Comparison]:
    """Compares every reference with the output of the same name.

    `expectation` may differ by absolute * (maximum - minimum). Integer `data` must be equal, except that a value may
    be one apart where the reference expectation lies within that distance of a rounding tie. Everything else may
    differ by absolute + relative * |reference|. What is not finite never passes.

    Args:
        outputs: arrays by name, [rows, ...].
        references: arrays by name, of the same shapes.
        data: the range that `data` and `expectation` lie in.
        tolerance: the provider's tolerance.
    """
    comparisons = []
    for name, reference in references.items():
        output = outputs[name]
        if output.shape != reference.shape or output.dtype != reference.dtype:
            raise AssertionError(f"{name} is {output.dtype} {output.shape}, not {reference.dtype} {reference.shape}")
        wide, expected = output.astype(np.float64), reference.astype(np.float64)
        scaled = tolerance.absolute * (data.maximum - data.minimum)
        allowed: npt.NDArray[np.float64] | float
        if name == "data" and reference.dtype == np.uint8:
            expectation = references["expectation"].astype(np.float64)
            near_tie = np.abs(expectation - np.floor(expectation) - 0.5) <= scaled
            allowed, bound = np.where(near_tie, 1.0, 0.0), f"0, or 1 within {scaled:.0e} of a rounding tie"
        elif name in ("data", "expectation"):
            allowed, bound = scaled, f"{scaled:.0e}"
        else:
            allowed = tolerance.absolute + tolerance.relative * np.abs(expected)
            bound = f"{tolerance.absolute:.0e} + {tolerance.relative:.0e} |reference|"
        with np.errstate(invalid="ignore"):  # infinity less infinity
            difference = np.abs(wide - expected)
        passed = bool((np.isfinite(expected) & (difference <= allowed)).all())  # NaN compares false
        comparisons.append(Comparison(name, float(difference.max(initial=0.0)), bound, passed))
    return comparisons
