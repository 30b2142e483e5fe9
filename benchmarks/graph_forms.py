"""Other forms of the graphs that training exports: patches of training's code, in force while a graph is made."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.export import graphs
from training.likelihoods.logistic import Logistic
from training.likelihoods.logistic_mixture import LogisticMixture
from training.networks.conv import ConvDecoder
from training.networks.pair import Encoder
from training.scaling import flat

Patch = Callable[[], AbstractContextManager[Any]]


class Form(NamedTuple):
    """Another form of a graph."""

    name: str
    graph: str
    """Encoder or decoder."""
    models: Sequence[str]
    """Those in which it changes something."""
    patch: Patch


def _packed(columns: int, decoder: ConvDecoder, latent: Tensor) -> Tensor:
    """The last convolution answers several columns as channels, so that fewer channels are zeros of the layout."""
    weight, bias = decoder.last.weight, decoder.last.bias
    channels, inputs = weight.shape[:2]
    wide = torch.zeros(columns * channels, inputs, 3, columns + 2)
    for column in range(columns):
        wide[column * channels : (column + 1) * channels, :, :, column : column + 3] = weight
    values = decoder.levels(decoder.first(latent))
    repeated = None if bias is None else bias.repeat(columns)
    packed = functional.conv2d(values, wide, repeated, stride=(1, columns), padding=1).permute(0, 2, 3, 1)
    return packed.reshape(-1, packed.shape[1], decoder.width, channels)


def _transposed(decoder: ConvDecoder, latent: Tensor) -> Tensor:
    """The last resize and the convolution behind it are one transposed convolution: the same sums, added beforehand."""
    *before, _, convolution, activation = decoder.levels
    assert isinstance(convolution, nn.Conv2d)
    weight = convolution.weight
    kernel = torch.zeros(weight.shape[1], weight.shape[0], 4, 4)
    for row in (0, 1):
        for column in (0, 1):
            kernel[:, :, row : row + 3, column : column + 3] += weight.flip(2, 3).transpose(0, 1)
    values = nn.Sequential(*before)(decoder.first(latent))
    values = functional.conv_transpose2d(values, kernel, convolution.bias, stride=2, padding=1)
    answer: Tensor = decoder.last(activation(values)).permute(0, 2, 3, 1)
    return answer


def _folded(encoder: Encoder, data: Tensor) -> Tensor:
    """The first layer takes rows as they are: its weights hold the scaling."""
    layers = list(encoder.body.children())
    first = layers[1]  # behind the one that makes rows flat
    assert isinstance(first, nn.Linear)
    weight = first.weight / encoder.scale
    values = functional.linear(flat(data.float()), weight, first.bias - (weight * encoder.center).sum(1))
    answers: Tensor = nn.Sequential(*layers[2:])(values)
    return answers


def _between(upper: Tensor, lower: Tensor) -> Tensor:
    """softplus(upper) - softplus(lower) with one logarithm."""
    ratio = (1 + torch.exp(-upper.abs())) / (1 + torch.exp(-lower.abs()))
    return torch.relu(upper) - torch.relu(lower) + torch.log(ratio)


def _logistic(likelihood: Logistic, parameters: Tensor) -> Tensor:
    mean, log_scale = likelihood._split(parameters)
    scale = torch.exp(log_scale)
    clipped = (scale * _between((mean + 1) / scale, (mean - 1) / scale)).clamp(0, 2)
    return (clipped * likelihood.scale).reshape(-1, *likelihood.data.shape)


def _mixture(likelihood: LogisticMixture, parameters: Tensor) -> Tensor:
    logits, means, log_scale, _ = likelihood._split(parameters)
    scale = torch.exp(log_scale)
    clipped = (scale * _between((means + 1) / scale, (means - 1) / scale)).clamp(0, 2)
    expectation = (clipped * torch.softmax(logits, 1).unsqueeze(1)).sum(2) * likelihood.scale
    return expectation.transpose(1, 2).reshape(-1, *likelihood.data.shape)


def _method(owner: type, name: str, function: Callable[..., Tensor]) -> Patch:
    def method(self: nn.Module, *values: Tensor) -> Tensor:  # `partial` would not be a method
        return function(self, *values)

    return partial(mock.patch.object, owner, name, method)


def _opset(number: int) -> Patch:
    return partial(mock.patch.object, graphs, "OPSET", number)


EVERY = ("mlp", "conv 28", "conv 64", "pca-conv", "grid")
FORMS = (
    *(Form(f"opset {number}", "decoder", EVERY, _opset(number)) for number in (20, 21, 23)),
    Form(
        "shuffle as PyTorch writes it",
        "decoder",
        ("pca-conv", "grid"),
        partial(mock.patch.object, graphs, "interleave", lambda _: None),
    ),
    *(
        Form(
            f"last convolution {columns} columns at once",
            "decoder",
            models,
            _method(ConvDecoder, "forward", partial(_packed, columns)),
        )
        for columns, models in ((2, ("conv 28", "conv 32", "conv 64")), (4, ("conv 28", "conv 32")))
    ),
    Form("transposed convolution", "decoder", ("conv 32", "conv 64"), _method(ConvDecoder, "forward", _transposed)),
    Form("one logarithm", "decoder", ("conv 64",), _method(Logistic, "expectation", _logistic)),
    Form("one logarithm", "decoder", ("grid",), _method(LogisticMixture, "expectation", _mixture)),
    Form("scaling in the first layer", "encoder", ("digits", "mlp"), _method(Encoder, "answers", _folded)),
)
"""What was tried. A form that is the default now has the form before it here, so its ratio is above 1."""
