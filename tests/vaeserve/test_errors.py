"""Errors on their way from one process to another."""

import pickle

import pytest

from vaeserve.errors import (
    CallError,
    InvalidInput,
    NonFiniteOutput,
    Overloaded,
    PackageError,
    PreconditionFailed,
    ShuttingDown,
    VaeError,
)


@pytest.mark.parametrize(
    "error",
    [
        PackageError("manifest.json: is missing"),
        InvalidInput("latent.shape", "is [3]"),
        PreconditionFailed("FINGERPRINT_MISMATCH", "the latents come from another pair"),
        Overloaded("64 calls are in flight", 0.1, reason="TOO_MANY_CALLS"),
        ShuttingDown(),
        NonFiniteOutput("decoder", [1, 3]),
        CallError("INVALID_ARGUMENT", "data: is missing", field="data", retry_seconds=0.5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_worker_reaches_the_process_that_waits_for_it(error: VaeError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
