"""Checks of a pair's own answers. Whether the graphs agree with them is checked by the parity gate."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from training.bring.trial import Trial
from training.export.probes import GraphModule, Probe, TensorArrays, kinds_of, probe, rows_at_once
from training.run.progress import say
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import compare

LARGEST_LOG_VARIANCE = 80.0  # exp of it is close to the largest float32


def check_probes(modules: Mapping[str, tuple[str, GraphModule]], trial: Trial) -> None:
    """Makes sure that every module's answers are finite, repeat, and depend on their own row alone.

    Args:
        modules: each module and its name in errors, by graph name.
        trial: their inputs, and their answers for all rows at once.

    Raises:
        TrainingError: an answer is not like that.
    """
    for graph, (label, module) in modules.items():
        inputs, expected = trial.probes[graph]
        _check_values(graph, label, trial)
        alone = probe(module, _tensors(inputs), 1).outputs
        for comparison in compare(alone, expected, trial.reach, trial.tolerance):
            if comparison.passed:
                continue
            together = probe(module, _tensors(inputs), rows_at_once(trial.data)).outputs
            repeated = compare(together, expected, trial.reach, trial.tolerance)
            rows = trial.named(graph, trial.missed(comparison.output, alone, expected))
            reason = (
                "with the other rows of a batch: something in it works on the batch as a whole, such as a BatchNorm in "
                "training mode, or it is rounding, of which `tolerance` allows more"
                if all(other.passed for other in repeated)
                else "from one call to the next: it draws random numbers, which a graph must not (Encode and Sample "
                "draw theirs)"
            )
            raise TrainingError(
                f"{label}: its {comparison.output} changes by up to {comparison.largest_difference:.3g} "
                f"on {rows}, {reason}"
            )


def trial_reconstruction(probes: Mapping[str, Probe], data: DataSpec) -> dict[str, float]:
    """Returns the squared error of reconstructions, and that of the rows' mean, a row.

    Prints a warning where reconstructions are worse than the mean: the spec's layout, range or order of outputs may be
    wrong.
    """
    count = kinds_of(data).real
    real, again = (
        array[:count].astype(np.float64).reshape(count, -1)
        for array in (probes["encoder"].inputs["data"], probes["decoder"].outputs["expectation"])
    )
    error, of_mean = (float(((rows - real) ** 2).sum(1).mean()) for rows in (again, real.mean(0)))
    if error > of_mean > 0:
        say(
            "reconstructions are worse than the mean of the rows: are layout, scaled_to and the order of outputs those "
            f"that the pair was trained with? (squared error {error:.3g} a row, the mean's {of_mean:.3g})"
        )
    return {"squared_error": error, "mean_row_squared_error": of_mean}


def _tensors(arrays: TensorArrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _check_values(graph: str, label: str, trial: Trial) -> None:
    def named(bad: npt.NDArray[np.bool_]) -> str:
        return trial.named(graph, np.flatnonzero(bad.reshape(len(bad), -1).any(1)).tolist())

    for name, output in trial.probes[graph].outputs.items():
        if name == "data" and output.dtype != trial.data.dtype:
            raise TrainingError(f"{label}: answers data as {output.dtype}, and the spec says {trial.data.dtype}")
        if rows := named(~np.isfinite(output)):
            raise TrainingError(
                f"{label}: answers {name} of NaN or infinity for {rows}: clamp what can overflow, for example "
                "before an exp"
            )
        if name == "log_variance" and (rows := named(output > LARGEST_LOG_VARIANCE)):
            raise TrainingError(
                f"{label}: log_variance reaches {output.max():.3g} for {rows}, and its exp overflows: clamp it, or is "
                "it not a logarithm?"
            )
