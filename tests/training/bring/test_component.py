from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tests.support.flat_pictures import SETTINGS, spec
from training.bring.component import module_component
from training.bring.join import join_graph
from training.export.onnx_runner import open_session, run
from vaeserve import export
from vaeserve.errors import TrainingError


class Answering(nn.Module):
    """Answers what a function makes of what a linear layer answers."""

    def __init__(self, function: Callable[[Tensor], object], inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), nn.Dropout(0.5))
        self.function = function

    def forward(self, *values: Tensor) -> object:
        return self.function(self.layers(*values))


def encoder(function: Callable[[Tensor], object] = lambda h: (h, h)) -> Answering:
    return Answering(function, 12, 2)


def decoder(function: Callable[[Tensor], object] = torch.sigmoid) -> Answering:
    return Answering(function, 2, 12)


def normalised(values: Tensor) -> tuple[Tensor, Tensor]:
    values = values - values.mean(0)
    return values, values


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (len, "encoder: is a builtin_function_or_method, must be a torch.nn.Module"),
        (
            nn.Linear(3, 2),
            r"encoder: mat1 and mat2 shapes cannot be multiplied .*; by the spec's shape, .* it gets \[2, 12\]",
        ),
        (encoder(lambda h: {"mean": h}), "encoder: answers dict, must answer a tensor or a tuple of tensors"),
        (encoder(lambda h: (h, h, h)), "encoder: answers 3 tensors, and it is not clear which is what"),
        (
            encoder(lambda h: h),
            r"encoder: answers moments of shape \[64, 2\] for 64 rows, must answer \[64, 4\] by the spec's latent",
        ),
        (encoder(lambda h: (h[:1], h)), r"encoder: answers mean of shape \[1, 2\] for 64 rows"),
        (
            encoder(lambda h: (h + torch.randn_like(h), h)),
            "encoder: its mean changes by up to .* from one call",
        ),
        (encoder(normalised), "encoder: its mean changes by up to .* with the other rows of a batch"),
        (encoder(lambda h: (h, (h.exp() - 9).log())), "encoder: answers log_variance of NaN or infinity"),
    ],
)
def test_encoders_that_cannot_be_served(tmp_path: Path, module: nn.Module, complaint: str) -> None:
    torch.manual_seed(0)
    rows = np.random.default_rng(0).integers(0, 256, (64, 2, 2, 3), np.uint8)
    with pytest.raises(TrainingError, match=f"^{complaint}") as raised:
        export(module, decoder(), SETTINGS, tmp_path / "model", rows)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_decoder_of_other_latents(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"^decoder: mat1 .*; by the spec's shape, layout and latent_shape it gets \[2, 2\]"
    ):
        export(encoder(), nn.Linear(3, 12), SETTINGS, tmp_path / "model")


def test_the_module_itself_is_left_alone() -> None:
    own = encoder().double().train()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    component = module_component("encoder", own, spec().encoder, (12,))
    first, again = component.run(torch.ones(2, 12))[0], component.run(torch.ones(2, 12))[0]
    assert torch.equal(first, again)  # no dropout
    assert first.dtype == torch.float32
    assert own.training
    assert component.roles == ("mean", "log_variance")
    assert [value.name for value in component.model().graph.input] == ["rows"]
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())


@pytest.mark.parametrize("scaled_to", [[0, 1], [-1, 1]])
def test_a_decoder_without_a_last_activation_is_packaged(tmp_path: Path, scaled_to: list[int]) -> None:
    torch.manual_seed(0)
    inside = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 16))
    outside = nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 784))
    settings = {"name": "m", "kind": "image", "shape": [28, 28, 1], "latent_shape": 8, "layout": "flat"}
    package = export(inside, outside, {**settings, "scaled_to": scaled_to}, tmp_path / "model")
    assert package.manifest.graphs.decoder.file == "decoder.onnx"


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def elsewhere() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def nested() -> Iterator[None]:
    torch.set_default_device("cpu")
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("state", [double, elsewhere, nested, partial(torch.autocast, "cpu", torch.bfloat16)])
def test_what_the_caller_told_pytorch_changes_nothing_and_stays(
    tmp_path: Path, state: Callable[[], AbstractContextManager[object]]
) -> None:
    own = encoder(), decoder()
    expected = export(*own, SETTINGS, tmp_path / "first")
    with state():
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu")
        found = export(*own, SETTINGS, tmp_path / "second")
        assert (torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu")) == before
    assert found.manifest.fingerprint == expected.manifest.fingerprint


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    drawn, other = encoder(lambda h: (h + torch.randn_like(h), h)), decoder()
    before = torch.get_rng_state()
    with pytest.raises(TrainingError, match="draws random numbers"):
        export(drawn, other, SETTINGS, tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


class Watching(nn.Module):
    """Notes how what it is given lies in memory, of which it answers the mean of every channel."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, outputs, 1)
        self.seen: list[tuple[torch.Size, tuple[int, ...]]] = []

    def __deepcopy__(self, _: object) -> "Watching":
        return self

    def forward(self, rows: Tensor) -> Tensor:
        self.seen.append((rows.shape, rows.stride()))
        return self.layer(rows.mean(1, keepdim=True))  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", [[4, 4, 3], [4, 4, 1], [1, 1, 3]])
def test_rows_and_latents_lie_in_memory_as_a_callers_own_do(tmp_path: Path, shape: list[int]) -> None:
    height, width, channels = shape
    inside, outside = Watching(4).to(memory_format=torch.channels_last), Watching(channels)  # type: ignore[call-overload]
    settings = {"name": "own", "kind": "image", "shape": shape, "layout": "NCHW", "scaled_to": [-1, 1]}
    export(inside, outside, settings | {"latent_shape": [2, height, width]}, tmp_path / "model")
    for found, stride in inside.seen + outside.seen:
        assert stride == torch.empty(found, device="meta").stride()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_group_norm_is_packaged(tmp_path: Path, channels: int) -> None:
    """PyTorch's own for pictures whose channels lie last is wrong where they are nearly flat."""
    torch.manual_seed(0)
    inside = nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.GroupNorm(8, 16, eps=1e-6), nn.SiLU(), nn.Conv2d(16, 16, 4, 4)
    )
    encoder = nn.Sequential(inside, nn.SiLU(), nn.Flatten(), nn.Linear(4096, 4))
    decoder = nn.Sequential(nn.Linear(2, channels * 4096), nn.Unflatten(1, (channels, 64, 64)), nn.Tanh())
    settings = {"name": "g", "kind": "image", "shape": [64, 64, channels], "latent_shape": 2, "layout": "NCHW"}
    package = export(encoder, decoder, settings | {"scaled_to": [-1, 1]}, tmp_path / "model")
    assert package.manifest.parity is not None
    flat = torch.full((2, channels, 64, 64), -1.0)
    flat[1] = 1.0
    session = open_session("encoder", package.read(package.manifest.graphs.encoder))
    data = np.stack([np.full((64, 64, channels), level, np.uint8) for level in (0, 255)])
    (mean,) = run(session, {"data": data}, ["mean"])
    with torch.inference_mode():
        expected = encoder.double()(flat.double())[:, :2].numpy()
    np.testing.assert_allclose(mean, expected, atol=1e-5, rtol=1e-4)


def test_a_graph_that_does_not_answer_alike_is_refused_with_rows_and_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(*given: object) -> onnx.ModelProto:
        model = join_graph(*given)  # type: ignore[arg-type]
        for bias in (tensor for tensor in model.graph.initializer if list(tensor.dims) == [2]):  # the encoder's
            bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
        return model

    monkeypatch.setattr("training.bring.bring.join_graph", altered)
    named = r"it disagrees on 56 of 56 random rows and 8 of 8 flat rows; in float64 .*: the graph is off; `tolerance`"
    with pytest.raises(TrainingError, match=rf"^encoder\.mean: .* lie up to 0.5 .* no package was written; {named}"):
        export(encoder(), decoder(), SETTINGS, tmp_path / "model")
    assert not list(tmp_path.iterdir())
