"""Compares a graph's outputs with reference ones: at export with PyTorch's, at load with the package's probes.

Probes of a graph have its name; those of pictures of another size than the smallest are `graph@HEIGHTxWIDTH`.
"""

import re
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.package.contents import Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize, PictureSizes

Arrays = Mapping[str, Array]
Allowed = npt.NDArray[np.float64] | float
Reach = npt.NDArray[np.float64] | float
"""Width of the range that values of data span: one number, or one a column."""

_OF_SIZE = re.compile(r"(?P<graph>.+)@(?P<height>[1-9][0-9]{0,5})x(?P<width>[1-9][0-9]{0,5})")
_ROUNDING = 1e-6  # relative: float32's own, which matters where a value is far larger than its column's reach


class Comparison(NamedTuple):
    """One output against its reference."""

    output: str
    largest_difference: float
    bound: str
    """What was allowed, in words."""
    passed: bool


def probe_suffix(size: PictureSize, sizes: PictureSizes) -> str:
    """Returns what the name of a graph's probes ends with; nothing for those of the smallest pictures."""
    return "" if size == sizes.smallest else f"@{size.height}x{size.width}"


def parse_probe_name(name: str) -> tuple[str, PictureSize | None]:
    """Returns the graph that probes belong to, and the size of their pictures if the name has one."""
    match = _OF_SIZE.fullmatch(name)
    return (match["graph"], PictureSize(int(match["height"]), int(match["width"]))) if match else (name, None)


def reach_of(data: DataSpec, rows: npt.NDArray[np.number]) -> Reach:
    """Returns the width of the data's range: maximum - minimum. In a float32 table: the width of each column.

    The range of a table only keeps out impossible values, and may be far wider than its rows.

    Args:
        data: the range that data lies in.
        rows: probes of the encoder, [rows, *data.shape].
    """
    widest = float(data.maximum - data.minimum)
    if data.kind == "image" or data.dtype == "uint8" or not len(rows):
        return widest
    missing, wide = np.isnan(rows), rows.astype(np.float64)
    span = np.where(missing, -np.inf, wide).max(0) - np.where(missing, np.inf, wide).min(0)
    return np.minimum(np.where(span > 0, span, 1.0), widest)  # a column that never varies has no scale


def compare(outputs: Arrays, references: Arrays, reach: Reach, tolerance: Tolerance) -> list[Comparison]:
    """Compares every reference with the output of the same name.

    `expectation` may differ by absolute * reach, and in a table by float32's rounding too; so may `parameters` that are
    the expectation itself. Integer `data` must be equal, but a value may be that distance, rounded up, apart where the
    reference expectation lies within the distance of a rounding tie. Everything else may differ by
    absolute + relative * |reference|.
    `codes` must be equal, but a code may be one level apart where its `unrounded` reference lies within the tolerance
    of a rounding tie; `mean` may then be that level apart too.
    A value that is not finite never passes.

    Args:
        outputs: arrays by name, [rows, ...].
        references: arrays by name, of the same shapes.
        reach: of the data, as `reach_of` returns it.
        tolerance: the provider's tolerance.
    """
    comparisons = []
    for name, reference in references.items():
        output = outputs[name]
        if output.shape != reference.shape or output.dtype != reference.dtype:
            raise AssertionError(f"{name} is {output.dtype} {output.shape}, not {reference.dtype} {reference.shape}")
        wide, expected = output.astype(np.float64), reference.astype(np.float64)
        if name in ("codes", "mean") and "codes" in references:
            allowed, bound = _allowed_of_codes(name, outputs["codes"], references, tolerance)
        else:
            allowed, bound = _allowed(name, references, reach, tolerance)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            difference = np.abs(wide - expected)
        passed = bool((np.isfinite(expected) & (difference <= allowed)).all())  # NaN compares false
        comparisons.append(Comparison(name, float(difference.max(initial=0.0)), bound, passed))
    return comparisons


def _allowed(name: str, references: Arrays, reach: Reach, tolerance: Tolerance) -> tuple[Allowed, str]:
    """Returns by how much an output may differ from its reference, and the same in words."""
    reference = references[name]
    expected = reference.astype(np.float64)
    scaled = tolerance.absolute * reach
    words = f"{scaled:.0e}" if isinstance(scaled, float) else f"{tolerance.absolute:.0e} of a column's reach"
    if name == "data" and reference.dtype == np.uint8:
        near_tie = _from_tie(references["expectation"]) <= scaled
        steps = max(1, ceil(np.max(scaled)))
        return np.where(near_tie, steps, 0.0), f"0, or {steps} within {words} of a rounding tie"
    if name in ("data", "expectation") or np.array_equal(reference, references.get("expectation", ())):
        return scaled if isinstance(scaled, float) else scaled + _ROUNDING * np.abs(expected), words
    return _of_value(expected, tolerance), _words(tolerance)


def _allowed_of_codes(name: str, codes: Array, references: Arrays, tolerance: Tolerance) -> tuple[Allowed, str]:
    """Returns by how much codes may differ, or a latent that is made of them, and the same in words."""
    expected = references["codes"].astype(np.float64)
    if name == "mean":
        levels = np.abs(codes - expected)  # one level is at most 1 apart from the next
        return levels + _of_value(references["mean"].astype(np.float64), tolerance), f"{_words(tolerance)}, or a level"
    if "unrounded" not in references:
        return 0.0, "0"
    unrounded = references["unrounded"].astype(np.float64)
    near_tie = _from_tie(unrounded) <= _of_value(unrounded, tolerance)
    return np.where(near_tie, 1.0, 0.0), f"0, or 1 within {_words(tolerance)} of a rounding tie"


def _from_tie(values: Array) -> npt.NDArray[np.float64]:
    """Returns how far values lie from the nearest number that is half-way between two integers."""
    wide = values.astype(np.float64)
    return np.abs(wide - np.floor(wide) - 0.5)


def _of_value(expected: npt.NDArray[np.float64], tolerance: Tolerance) -> npt.NDArray[np.float64]:
    return tolerance.absolute + tolerance.relative * np.abs(expected)


def _words(tolerance: Tolerance) -> str:
    return f"{tolerance.absolute:.0e} + {tolerance.relative:.0e} |reference|"
