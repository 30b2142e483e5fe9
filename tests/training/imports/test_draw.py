from pathlib import Path

import pytest
import torch

from tests.support.optimum_folders import save_optimum
from training.bring.files import read_graph
from training.imports.draw import check_draw, without_draw
from training.imports.optimum import DECODER, ENCODER
from vaeserve.errors import TrainingError


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_optimum(tmp_path_factory.mktemp("drawing"))


def test_a_draw_that_is_not_from_a_posterior_is_refused(drawing: Path) -> None:
    model = read_graph(drawing / ENCODER)
    exponential = next(node for node in model.graph.node if node.op_type == "Exp")
    exponential.op_type = "Softplus"
    with pytest.raises(TrainingError, match="its standard deviation does not come from Exp"):
        without_draw(model)


def test_a_graph_without_a_draw_stays_as_it_is(drawing: Path) -> None:
    model = read_graph(drawing / DECODER)
    assert without_draw(model) is model


def test_what_is_drawn_must_be_drawn_from_what_is_answered() -> None:
    mean, log_variance = torch.full((2, 4, 8, 8), 3.0), torch.full((2, 4, 8, 8), -2.0)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    check_draw((mean, log_variance), mean + (0.5 * log_variance).exp() * noise)
    with pytest.raises(TrainingError, match=r"its noise has a standard deviation of 0\.3\d+, must be 1"):
        check_draw((mean, log_variance), mean + log_variance.exp() * noise)
