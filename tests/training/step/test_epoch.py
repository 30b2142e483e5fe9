import torch

from training.data import Dataset
from training.settings.config import Config
from training.step.epoch import summary
from training.step.schedule import StepSchedule
from training.step.state import start


def test_rows_of_a_step_that_was_skipped_do_not_count(tiny: Config, dataset: Dataset) -> None:
    terms, means = torch.tensor([[1.0, 3.0, torch.nan]] * 3), torch.tensor([[1.0, 0.0], [-1.0, 0.05], [torch.inf, 0.0]])
    schedule = StepSchedule(learning_rate=1e-3, kl_weight=1.0, average_decay=0.9, progress=0.0)
    figures = summary(start(tiny, dataset), terms, means, steps=1, schedule=schedule, skipped=1, validated=None)
    assert (figures.loss_nats, figures.active_units) == (2.0, 1)
