import torch

from training.scaling import Scaling, as_data, scaling_of, smooth_clamp, unclamped
from vaeserve.package.data_spec import DataSpec


def test_as_data_rounds_and_clips_before_the_cast() -> None:
    data = DataSpec(kind="image", shape=(2, 3, 1), dtype="uint8", minimum=0, maximum=16)
    found = as_data(torch.tensor([-1.0, 0.4, 7.5, 8.5, 15.6, 400.0]), data)
    assert found.tolist() == [0, 0, 8, 8, 16, 16]
    assert found.dtype == torch.uint8


def test_real_numbers_are_clipped_alone() -> None:
    data = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-1, maximum=1)
    assert as_data(torch.tensor([-3.0, 0.25, 7.0]), data).tolist() == [-1, 0.25, 1]


def test_values_that_are_on_or_off_are_scaled_to_0_and_1_others_of_images_to_the_range_around_0() -> None:
    data = DataSpec(kind="image", shape=(2, 3, 1), dtype="uint8", minimum=0, maximum=16)
    assert scaling_of(data, torch.empty(0), "bernoulli") == Scaling(torch.tensor(0), torch.tensor(16))
    assert scaling_of(data, torch.empty(0), "binomial") == Scaling(torch.tensor(8), torch.tensor(8))


def test_what_is_squeezed_is_found_again() -> None:
    values = torch.tensor([-6.5, -3.0, 0.5])
    torch.testing.assert_close(smooth_clamp(unclamped(values, -7, 1), -7, 1), values)
    assert bool((smooth_clamp(unclamped(torch.tensor([-90.0, 90.0]), -7, 1), -7, 1).abs() < 7).all())
