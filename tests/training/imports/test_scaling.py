from typing import Any

import numpy as np
import pytest
import torch

from tests.support import autoencoders
from training.imports.reference import pipeline_of
from training.imports.scaling import batch_norm_epsilon, missing_note, scaling_of, scaling_of_statistics
from vaeserve.errors import TrainingError
from vaeserve.package.contents import LatentScaling

CONVENTIONS: dict[str, tuple[dict[str, object], str]] = {
    "SD": ({"scaling_factor": 0.18215}, "latents = z * scaling_factor"),
    "SD3": ({"scaling_factor": 1.5305, "shift_factor": 0.0609}, "latents = (z - shift_factor) * scaling_factor"),
    "playground": (
        {"scaling_factor": 0.5, "latents_mean": [-1.6, 1.2], "latents_std": [8.4, 6.1]},
        "latents = (z - latents_mean) * scaling_factor / latents_std",
    ),
    "TAESD": ({"scaling_factor": 1.0, "shift_factor": 0.0}, "latents = z"),
    "none": ({"scaling_factor": None}, "latents = z"),
}


def _apply(scaling: LatentScaling, z: torch.Tensor) -> torch.Tensor:
    shift, scale = (torch.tensor(each).double().reshape(-1, 1, 1) for each in (scaling.shift, scaling.scale))
    return (z - shift) * scale


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_scaling_is_what_the_pipeline_computes(name: str) -> None:
    config, formula = CONVENTIONS[name]
    scaling, pipeline = scaling_of(config, 2, applied=True), pipeline_of(config, None, scales=True)
    z = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    assert scaling.formula == formula
    torch.testing.assert_close(_apply(scaling, z), pipeline.enter(z))
    torch.testing.assert_close(pipeline.leave(pipeline.enter(z)), z)


def test_flux2s_scaling_is_its_normalisation() -> None:
    module = autoencoders.make("flux2")
    scaling = scaling_of_statistics(module.bn.running_mean, module.bn.running_var, 1e-4, applied=True)
    pipeline = pipeline_of(module.config, module.bn, scales=True)
    z = torch.randn(2, 4, 6, 8, dtype=torch.float64)
    patches = torch.nn.functional.pixel_unshuffle(z, 2)
    torch.testing.assert_close(_apply(scaling, patches), pipeline.enter(z))
    torch.testing.assert_close(pipeline.leave(pipeline.enter(z)), z)
    np.testing.assert_allclose(pipeline_of(module.config, module.bn, scales=False).enter(z), patches)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"scaling_factor": 0}, "scaling_factor is 0, must be above 0"),
        ({"scaling_factor": "0.18"}, "scaling_factor is '0.18', must be a number"),
        ({"scaling_factor": float("nan")}, "scaling_factor is nan, must be a number"),
        ({"scaling_factor": 10**400}, "scaling_factor is 10{39}, must be a number"),
        ({"latents_mean": [0, 0], "latents_std": [1, 1e-320]}, "scaling_factor / latents_std is 0 or infinite"),
        ({"shift_factor": [1]}, r"shift_factor is \[1\], must be a number"),
        ({"latents_mean": [0, 1]}, "has one of latents_mean and latents_std"),
        ({"latents_mean": [0], "latents_std": [1]}, "latents_mean must hold 2 numbers"),
        ({"latents_mean": [0, 0], "latents_std": [1, 0]}, "latents_std holds a value that is not above 0"),
    ],
)
def test_values_that_cannot_be_are_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        scaling_of(config, 2, applied=True)


def test_statistics_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="are not finite"):
        scaling_of_statistics(torch.zeros(2), torch.tensor([1.0, -1.0]), 1e-4, applied=True)


def test_a_missing_factor_is_told() -> None:
    config = {"scaling_factor": 0.18215}
    assert missing_note(config, config, "AutoencoderKL") == ""
    expected = "config.json has no scaling_factor: 0.18215 is taken, AutoencoderKL's default"
    assert missing_note(config, {}, "AutoencoderKL") == expected
    assert missing_note({}, {}, "AutoencoderKLFlux2") == ""


@pytest.mark.parametrize("value", ["1e-4", [1], 10**400, float("nan")])
def test_an_epsilon_is_a_number(value: object) -> None:
    assert batch_norm_epsilon({}) == 1e-4
    with pytest.raises(TrainingError, match=r"^config\.json: batch_norm_eps is .*, must be a number$"):
        batch_norm_epsilon({"batch_norm_eps": value})
