import pytest
import torch

from tests.support.flat_pictures import spec
from training.bring.borders import decoder_border, from_own, to_own
from vaeserve.errors import TrainingError


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "flat"])
def test_layouts_and_ranges_there_and_back(layout: str) -> None:
    data = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8)
    own = to_own(data, spec(layout=layout, scaled_to=[-1, 1]))
    assert own.dtype == torch.float32
    assert own.shape[1:] == spec(layout=layout).own_shape
    assert float(own.flatten()[0]) == pytest.approx(float(data[0, 0, 0, 0]) / 127.5 - 1)
    assert float(own.abs().max()) <= 1
    torch.testing.assert_close(from_own(own, spec(layout=layout, scaled_to=[-1, 1])), data.float())
    if layout == "flat":  # as PyTorch flattens its own pictures
        torch.testing.assert_close(own, (data.float() / 127.5 - 1).permute(0, 3, 1, 2).flatten(1))


def test_logits_are_of_data_that_begins_at_0() -> None:
    with pytest.raises(TrainingError, match=r"^minimum: must be 0, because the decoder answers logits$"):
        decoder_border(spec(minimum=1.0), ("logits",))
