import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from training.data import Dataset
from training.models.vae import KIND as VAE
from training.run import checkpoint
from training.run.checkpoint import Checkpoint
from training.settings.config import Config
from training.step.loop import epochs
from training.step.state import start
from vaeserve.errors import TrainingError


@pytest.fixture
def path(tiny: Config, dataset: Dataset, tmp_path: Path) -> Path:
    state = start(tiny, dataset)
    next(epochs(tiny, dataset, state))
    checkpoint.write(tmp_path / "checkpoint", checkpoint.take(tiny, dataset, state))
    return tmp_path / "checkpoint"


def test_what_is_read_is_what_was_written(path: Path, tiny: Config, dataset: Dataset) -> None:
    last = checkpoint.read(path)
    assert (last.config, last.data_sha256, last.epoch) == (tiny, dataset.sha256, 1)
    again = checkpoint.take(tiny, dataset, checkpoint.restore(last, dataset))
    assert again.tensors.keys() == last.tensors.keys()
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in last.tensors.items())


@pytest.mark.parametrize("family", ["binomial", "gaussian"])
def test_convolutions_go_on_from_a_file_as_if_they_had_not_stopped(
    tiny: Config, dataset: Dataset, tmp_path: Path, family: str
) -> None:
    config = tiny.model_copy(update={"network": "conv", "hidden_sizes": (4,), "likelihood": family})
    state = start(config, dataset)
    whole = epochs(config, dataset, state)
    next(whole)
    checkpoint.write(tmp_path / "checkpoint", checkpoint.take(config, dataset, state))
    next(whole)

    resumed = checkpoint.restore(checkpoint.read(tmp_path / "checkpoint"), dataset)
    next(epochs(config, dataset, resumed))
    expected, found = (checkpoint.take(config, dataset, each).tensors for each in (state, resumed))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_equal_states_give_equal_files_and_no_other_file(path: Path) -> None:
    content = path.read_bytes()
    checkpoint.write(path, checkpoint.read(path))
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0, 4, 200, 5000, -1])
def test_a_file_cut_short_is_refused(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(TrainingError, match="is not a whole checkpoint"):
        checkpoint.read(path)


def test_an_altered_tensor_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="was altered"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    ("written", "altered"),
    [
        (rb"\"epoch\":1,", rb"\"epoch\":2,"),
        (rb"\"kl_weight\":1.0", rb"\"kl_weight\":9.0"),
        (rb"\"rollbacks\":0", rb"\"rollbacks\":3"),
        (rb"\"seed\":0", rb"\"seed\":1"),
        (b'"average.encoder.body.1.bias":{"dtype":"F32"', b'"average.encoder.body.1.bias":{"dtype":"I32"'),
        (b'"dtype":"F32","shape":[16,64]', b'"dtype":"F32","shape":[64,16]'),
        (b'"dtype":"F32","shape":[16,64]', b'"dtype":"BF16","shape":[2048]'),  # which NumPy does not know
    ],
)
def test_an_altered_header_is_noticed(path: Path, written: bytes, altered: bytes) -> None:
    content = path.read_bytes()
    assert written in content
    path.write_bytes(content.replace(written, altered))
    with pytest.raises(TrainingError, match="was altered"):
        checkpoint.read(path)


def test_a_file_of_an_older_version_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(checkpoint.FORMAT.encode(), b"vaeserve-checkpoint-3"))
    with pytest.raises(TrainingError, match="not a checkpoint that this version understands"):
        checkpoint.read(path)


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(TrainingError, match="not a checkpoint that this version understands"):
        checkpoint.read(tmp_path / "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none: cannot be read: no such file$"):
        checkpoint.read(tmp_path / "none")
    with pytest.raises(TrainingError, match=r"is a directory, not a checkpoint$"):
        checkpoint.read(tmp_path)


def test_a_directory_that_is_not_there_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot be written: No such file or directory$"):
        checkpoint.write(tmp_path / "none" / "checkpoint", checkpoint.read(path))


def test_other_data_is_refused(path: Path, dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match="other data than this digits"):
        checkpoint.restore(checkpoint.read(path), dataset._replace(sha256="0" * 64))


def test_tensors_of_another_shape_are_refused(path: Path, dataset: Dataset) -> None:
    last = checkpoint.read(path)
    wider = last.config.model_copy(update={"latent_size": 5})
    with pytest.raises(TrainingError, match="not those of its configuration"):
        checkpoint.restore(last.model_copy(update={"config": wider}), dataset)


MOMENT, STEP = (f"optimizer.encoder.body.1.weight.{key}" for key in ("exp_avg", "step"))


@pytest.mark.parametrize(
    "altered",
    [
        {MOMENT: torch.zeros(3)},  # a fused step would write behind its end
        {MOMENT: torch.zeros(16, 64, dtype=torch.float64)},
        {STEP: torch.zeros(5)},
        {MOMENT: None},
    ],
)
def test_moments_that_are_not_of_their_parameter_are_refused(
    path: Path, dataset: Dataset, altered: dict[str, torch.Tensor | None]
) -> None:
    last = checkpoint.read(path)
    assert last.tensors.keys() >= altered.keys()
    tensors = {name: value for name, value in {**last.tensors, **altered}.items() if value is not None}
    with pytest.raises(TrainingError, match="not those of its configuration"):
        checkpoint.restore(last.model_copy(update={"tensors": tensors}), dataset)


@pytest.mark.parametrize("state", [torch.tensor(3), torch.zeros(5056)])
def test_random_numbers_of_another_kind_are_refused(path: Path, dataset: Dataset, state: torch.Tensor) -> None:
    last = checkpoint.read(path)
    with pytest.raises(TrainingError, match="its random numbers cannot go on"):
        checkpoint.restore(last.model_copy(update={"tensors": {**last.tensors, "generator": state}}), dataset)


@pytest.mark.parametrize("counter", [{"epoch": -1}, {"rollbacks": 9999}])
def test_counters_that_cannot_be_are_refused(path: Path, counter: dict[str, int]) -> None:
    checkpoint.write(path, checkpoint.read(path).model_copy(update=counter))
    with pytest.raises(TrainingError, match="not a checkpoint that this version understands"):
        checkpoint.read(path)


def test_a_file_from_before_a_setting_was_added_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = checkpoint.read(path)
    told = json.loads(last.model_dump_json())
    del told["config"]["tensorboard"]
    with monkeypatch.context() as earlier:
        earlier.setattr(Checkpoint, "model_dump_json", lambda _: json.dumps(told))
        checkpoint.write(path, last)
    assert checkpoint.read(path).config == last.config


def test_what_a_gpu_trained_is_exported_anywhere_but_resumed_on_a_gpu(path: Path, dataset: Dataset) -> None:
    last = checkpoint.read(path)
    on_gpu = last.config.model_copy(update={"device": "cuda"})
    drawn = torch.zeros(16, dtype=torch.uint8)  # what a GPU's is
    elsewhere = last.model_copy(update={"config": on_gpu, "tensors": {**last.tensors, "generator": drawn}})
    found = checkpoint.average_of(VAE, elsewhere, dataset).state_dict()
    assert all(torch.equal(last.tensors[f"average.{name}"], value) for name, value in found.items())
    with pytest.raises(TrainingError, match="was not taken on cpu, and its random numbers cannot go on there"):
        checkpoint.restore(
            elsewhere.model_copy(update={"config": on_gpu.model_copy(update={"device": "cpu"})}), dataset
        )


def test_an_average_of_other_data_or_of_another_shape_is_refused(path: Path, dataset: Dataset) -> None:
    last = checkpoint.read(path)
    wider = last.config.model_copy(update={"latent_size": 5})
    with pytest.raises(TrainingError, match="other data than this digits"):
        checkpoint.average_of(VAE, last, dataset._replace(sha256="0" * 64))
    with pytest.raises(TrainingError, match="not those of its configuration"):
        checkpoint.average_of(VAE, last.model_copy(update={"config": wider}), dataset)
