import json
from math import inf, nan
from pathlib import Path

import pytest

from training.run.checkpoint import Checkpoint
from training.run.journal import Journal, read_curve
from training.settings.config import Config
from vaeserve.errors import TrainingError


def epochs_in(path: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()]


def test_every_record_is_a_line_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path, 0) as journal:
        journal.write("train", {"epoch": 1, "kl_nats": 2.5})
        assert json.loads(path.read_text()) == {"split": "train", "epoch": 1, "kl_nats": 2.5}


def test_a_figure_that_json_has_no_number_for_is_null(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path, 0) as journal:
        journal.write("train", {"epoch": 1, "loss_nats": nan, "validation_nats": inf, "kl_nats": None})
    record = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == {"split": "train", "epoch": 1, "loss_nats": None, "validation_nats": None, "kl_nats": None}


def test_resuming_drops_what_will_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path, 0) as journal:
        for epoch in range(1, 5):
            journal.write("train", {"epoch": epoch})
        journal.write("test", {"epoch": 4})
    path.write_text(path.read_text() + '{"split": "tra')
    with Journal(path, 4):
        assert epochs_in(path) == [1, 2, 3, 4]
    with Journal(path, 2) as journal:
        journal.write("train", {"epoch": 3})
    assert epochs_in(path) == [1, 2, 3]


def test_a_line_cut_short_ends_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"split": "train", "epoch": 1}\n{"split": "tr')
    with Journal(path, 5):
        assert epochs_in(path) == [1]


def test_a_line_without_its_end_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"split": "train", "epoch": 1}\n{"split": "train", "epoch": 2}')
    with Journal(path, 2) as journal:
        journal.write("train", {"epoch": 3})
    assert epochs_in(path) == [1, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"split": "train", "epoch": "x"}',
        b'{"split": "train", "epoch": NaN}',
        b'{"split": "train"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_a_damaged_line_ends_what_is_kept(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"split": "train", "epoch": 1}\n' + line + b"\n")
    with Journal(path, 5):
        assert epochs_in(path) == [1]


def test_resuming_never_shortens_the_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"split": "train", "epoch": 1}\n{"split": "train", "epoch": 2}\n')
    with path.open() as reader, Journal(path, 1):
        assert len(reader.readlines()) == 2  # the old file, whole; the new one took its name
    assert epochs_in(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: cannot be written: No such file"):
        Journal(tmp_path / "none" / "metrics.jsonl", 0)


@pytest.mark.parametrize(
    ("model", "title", "lower_is_better"),
    [("vae", "loss, nats per row", True), ("gan", "loss of the generator", False)],
)
def test_a_curve_knows_what_the_loss_of_its_kind_is(
    tmp_path: Path, model: str, title: str, lower_is_better: bool
) -> None:
    path, config = tmp_path / "metrics.jsonl", Config(model=model)
    last = Checkpoint(config=config, data_name="x", data_sha256="", epoch=2, kl_weight=1.0, rollbacks=0)
    with Journal(path, 0) as journal:
        for epoch in (1, 2):
            journal.write("train", {"epoch": epoch, "steps": 6 * epoch, "loss_nats": 0.7, "validation_nats": None})
    curve = read_curve(path, last)
    assert curve is not None
    assert (curve.title, curve.lower_is_better, curve.is_validated) == (title, lower_is_better, False)
