"""What lies between the networks' tensors and those of a package."""

import torch

from training.imports.borders import encoder_border
from vaeserve.package.contents import LatentScaling


def test_the_log_variance_keeps_to_the_limits_of_diffusers_before_it_is_scaled() -> None:
    scaling = LatentScaling(shift=(1.0,), scale=(2.0,), applied=True)
    moments = torch.tensor([3.0, 5.0, -50.0, 50.0]).reshape(1, 4, 1, 1)
    mean, log_variance = encoder_border(2, ("mean", "log_variance"), scaling).after({"moments": moments})
    assert mean.flatten().tolist() == [4.0, 8.0]
    torch.testing.assert_close(
        log_variance.flatten().float(), torch.tensor([-30.0, 20.0]) + 2 * torch.tensor(2.0).log()
    )
