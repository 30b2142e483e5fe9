"""Checks of a pair's own answers. That the graphs then answer alike is the parity gate's to see."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from training.probes import REAL, Arrays, GraphModule, Probe
from vae.errors import TrainingError
from vae.manifest import DataSpec, Tolerance
from vae.probes import Comparison, compare, reach_of

LARGEST_LOG_VARIANCE = 80.0  # exp of it is all but the largest float32


def check_probe(label: str, module: GraphModule, probe: Probe, data: DataSpec, tolerance: Tolerance) -> None:
    """Makes sure that a module's answers are numbers, repeat, and depend on a row alone.

    Args:
        label: what to call it in an error.
        module: an encoder, a decoder or a likelihood.
        probe: what it was asked, and answered for all rows at once.
        data: the range that data lies in.
        tolerance: how far answers may lie apart.

    Raises:
        TrainingError: they do not.
    """
    _check_finite(label, probe)
    reach = reach_of(data, probe.inputs.get("data", np.empty(0)))
    rows = len(next(iter(probe.inputs.values())))
    again = answers(module, probe.inputs, rows)
    _check_same(
        label,
        compare(again, probe.outputs, reach, tolerance),
        "from one call to the next: it draws random numbers, which a graph must not (Encode and Sample draw theirs)",
    )
    try:
        alone = answers(module, probe.inputs, 1)
    except TrainingError as exc:
        raise TrainingError(f"{exc}; it takes {rows} rows at once, and must take any number") from exc
    _check_same(
        label,
        compare(alone, probe.outputs, reach, tolerance),
        "with the rows beside it: something in it works on the batch as a whole, such as a BatchNorm in training mode",
    )


def answers(module: GraphModule, inputs: Arrays, size: int) -> Arrays:
    """Returns a module's outputs by name, computed so many rows at a time."""
    rows = len(next(iter(inputs.values())))
    parts = []
    with torch.inference_mode():
        for first in range(0, rows, size):
            found = module.module(*(torch.from_numpy(inputs[name][first : first + size]) for name in module.inputs))
            parts.append((found,) if isinstance(found, torch.Tensor) else found)
    joined = [torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True)]
    return dict(zip(module.outputs, joined, strict=True))


def reconstruction_of(probes: Mapping[str, Probe]) -> tuple[float, float]:
    """Returns how far from real rows their reconstructions lie, and how far their mean does: squared errors a row.

    A pair whose layout, range or order of outputs was told wrongly does worse than the mean.
    """
    real = probes["encoder"].inputs["data"][:REAL].astype(np.float64).reshape(REAL, -1)
    again = probes["decoder"].outputs["expectation"][:REAL].astype(np.float64).reshape(REAL, -1)
    return float(((again - real) ** 2).sum(1).mean()), float(((real - real.mean(0)) ** 2).sum(1).mean())


def _check_finite(label: str, probe: Probe) -> None:
    for name, output in probe.outputs.items():
        bad = ~np.isfinite(output).reshape(len(output), -1).all(1)
        if bad.any():
            raise TrainingError(
                f"{label}: answers {name} of NaN or infinity for {bad.sum()} of {len(output)} rows: clamp what can "
                "overflow, for example before an exp"
            )
    log_variance = probe.outputs.get("log_variance")
    if log_variance is not None and log_variance.max() > LARGEST_LOG_VARIANCE:
        raise TrainingError(
            f"{label}: log_variance reaches {log_variance.max():.3g}, of which exp overflows: clamp it, or is it no "
            "logarithm?"
        )


def _check_same(label: str, comparisons: Iterable[Comparison], change: str) -> None:
    for comparison in comparisons:
        if not comparison.passed:
            raise TrainingError(
                f"{label}: a row's {comparison.output} changes by up to {comparison.largest_difference:.3g} {change}"
            )
