import pytest

from training.settings.precisions import precision_of
from vaeserve.errors import TrainingError


def test_what_can_be_exported() -> None:
    assert (precision_of("float32", must_upcast=True), precision_of("fp16")) == ("float32", "fp16")


def test_what_cannot_be_exported_is_refused_with_the_reason() -> None:
    with pytest.raises(TrainingError, match=r"^--precision bf16: cannot be proved, .* no bfloat16 kernels"):
        precision_of("bf16")
    with pytest.raises(
        TrainingError,
        match=r"^--precision fp16: config.json says force_upcast, so the pair may overflow: use float32, or",
    ):
        precision_of("fp16", must_upcast=True)
