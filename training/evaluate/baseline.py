"""How probable held-out rows are without latents: a model that learned anything does better."""

from math import inf, log

import torch

from training.evaluate.rows import DataArray
from training.evaluate.served import BATCH_ROWS
from training.likelihoods import FAMILIES, likelihood_of
from training.scaling import scaling_of
from vaeserve.package.data_spec import DataSpec
from vaeserve.slices import rows_within

VALUE_BYTES = 512  # of memory for each value of a row: a mixture makes some hundred float32 of it


def without_latents(family: str | None, data: DataSpec, train: DataArray, test: DataArray) -> float | None:
    """Returns the negative log-likelihood of held-out rows with the same parameters for all, in nats a row.

    The parameters are fitted on the training rows. Where data has levels and the uniform distribution is
    better, that is used instead.

    Returns:
        None for an unknown family.
    """
    if family not in FAMILIES:
        return None
    rows = torch.from_numpy(train)
    likelihood = likelihood_of(family, data, scaling_of(data, rows, family)).requires_grad_(False)
    parameters = likelihood.fit(rows)
    total = sum(
        float(-likelihood(some, parameters.expand(len(some), *parameters.shape)).double().sum())
        for some in torch.split(torch.from_numpy(test), rows_within(VALUE_BYTES * data.value_count, BATCH_ROWS))
    )
    levels = 2 if family == "bernoulli" else data.maximum - data.minimum + 1
    uniform = data.value_count * log(levels) if data.dtype == "uint8" else inf
    return min(total / len(test), uniform)
