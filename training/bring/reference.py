"""The pair as it came, between data and latents as they are served: its answers are those that the graphs must give.

`borders` says the same once more in ONNX.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.bring.spec import Spec
from training.graphs import innermost
from training.likelihoods import FAMILIES, likelihood_of
from training.likelihoods.likelihood import Likelihood
from training.scaling import Scaling, as_data, scaling_of
from vae.errors import TrainingError

_LEAST_PROBABILITY = 1e-6  # of what a decoder answers as an expectation, before its logit is taken


class Part(NamedTuple):
    """An encoder or a decoder as it came."""

    label: str
    """What to call it in an error."""
    run: Callable[[Tensor], tuple[Tensor, ...]]
    """Float rows in its own layout -> its outputs."""
    roles: tuple[str, ...]
    """What they are."""


class EncoderReference(nn.Module):
    """data [batch, *shape] -> mean, log_variance [batch, *latent_shape]; mean alone where there is no posterior."""

    def __init__(self, part: Part, spec: Spec) -> None:
        super().__init__()
        self.part, self.spec = part, spec

    def forward(self, data: Tensor) -> tuple[Tensor, ...]:
        """Returns what the encoder answers for rows.

        Raises:
            TrainingError: it answers something else.
        """
        label, latent = self.part.label, self.spec.latent_shape
        answer = _by_role(self.part, to_own(data, self.spec))
        if "moments" in answer:
            moments = _expect(label, "moments", answer["moments"], (2 * latent[0], *latent[1:]))
            return tuple(half.float() for half in moments.chunk(2, 1))
        roles = ("mean",) if self.spec.posterior == "none" else ("mean", "log_variance")
        return tuple(_expect(label, role, answer[role], latent).float() for role in roles)


class DecoderReference(nn.Module):
    """latent [batch, *latent_shape] -> data, expectation [batch, *shape], and parameters where they are wanted."""

    def __init__(self, part: Part, spec: Spec, *, with_parameters: bool) -> None:
        super().__init__()
        self.part, self.spec = part, spec
        self.with_parameters = with_parameters
        if "logits" in part.roles and spec.data.minimum != 0:
            raise TrainingError(f"{part.label}: answers logits, which are of data that begins at 0: see minimum")

    def forward(self, latent: Tensor) -> tuple[Tensor, ...]:
        """Returns what the decoder answers for latents.

        Raises:
            TrainingError: it answers something else.
        """
        spec, label = self.spec, self.part.label
        answer = _by_role(self.part, latent)
        parameters = answer.get("parameters")
        if "data" in answer:
            data = _expect(label, "data", answer["data"], spec.shape)
            if str(data.dtype) != f"torch.{spec.data.dtype}":
                raise TrainingError(
                    f"{label}: answers data as {str(data.dtype)[6:]}, and the spec says {spec.data.dtype}"
                )
            expectation = _expect(label, "expectation", answer["expectation"], spec.shape).float()
        else:
            role = "logits" if "logits" in answer else "expectation"
            values = from_own(_expect(label, role, answer[role], spec.own_shape).float(), spec)
            if role == "logits":
                parameters, expectation = values, spec.data.maximum * torch.sigmoid(values)
            else:
                expectation = values if spec.scaled_to is None else values * spec.scale + spec.center
            data = as_data(expectation, spec.data)
        if not self.with_parameters:
            return data, expectation
        return data, expectation, (expectation if parameters is None else parameters).float()


class OfExpectation(nn.Module):
    """A family's likelihood where the decoder answers nothing but the expectation, which stands for the parameters."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows given expectations, in nats."""
        if self.likelihood.family == "gaussian":
            return self.likelihood(data, self.likelihood.scaled(parameters))  # type: ignore[no-any-return]
        probability = parameters / self.likelihood.data.maximum
        probability = probability.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        return self.likelihood(data, torch.log(probability) - torch.log1p(-probability))  # type: ignore[no-any-return]


def family_of(spec: Spec) -> Likelihood | None:
    """Returns the likelihood that the spec names; None where it names none.

    Raises:
        TrainingError: it is unknown, or does not fit the data.
    """
    if spec.likelihood is None:
        return None
    if spec.likelihood not in FAMILIES:
        raise TrainingError(
            f"likelihood: {spec.likelihood} is none of {', '.join(FAMILIES)}: give its graph, or leave it out"
        )
    scaling = Scaling(torch.tensor(spec.center), torch.tensor(spec.scale))
    if spec.likelihood == "logistic":  # whose parameters are of levels between -1 and 1, always
        scaling = scaling_of(spec.data, torch.empty(0), spec.likelihood)
    try:
        likelihood = likelihood_of(spec.likelihood, spec.data, scaling)
    except TrainingError as exc:
        raise TrainingError(str(exc).removeprefix("--")) from exc
    if spec.likelihood == "gaussian":
        if spec.likelihood_scale is None:
            raise TrainingError("likelihood_scale: must be given for a gaussian likelihood")
        likelihood.set_scale(spec.likelihood_scale)  # type: ignore[operator]
    return likelihood.requires_grad_(False)


def to_own(data: Tensor, spec: Spec) -> Tensor:
    """Returns rows [batch, *shape] as the pair itself takes them, in float32."""
    values = data.float()
    if spec.scaled_to is not None:
        values = (values - spec.center) / spec.scale
    if spec.kind == "image" and spec.layout != "NHWC":
        values = values.permute(0, 3, 1, 2)
    return values.reshape(len(data), *spec.own_shape)


def from_own(values: Tensor, spec: Spec) -> Tensor:
    """Returns values of the pair's own layout as [batch, *shape]."""
    if spec.kind == "table" or spec.layout == "NHWC":
        return values
    height, width, channels = spec.shape
    return values.reshape(len(values), channels, height, width).permute(0, 2, 3, 1)


def runner_of(label: str, module: nn.Module) -> tuple[nn.Module, Callable[[Tensor], tuple[Tensor, ...]]]:
    """Returns a copy of a module for evaluation, in float32 on the CPU, and what runs it.

    Raises:
        TrainingError: it is no module, or cannot be copied. What runs it raises it where the module fails.
    """
    if not isinstance(module, nn.Module):
        raise TrainingError(f"{label}: is a {type(module).__name__}, must be a torch.nn.Module")
    try:
        own = deepcopy(module).cpu().float().eval()
    except Exception as exc:  # whatever a stranger's module holds
        raise TrainingError(f"{label}: cannot be copied: {innermost(exc)}") from exc

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        try:
            with torch.inference_mode():
                found: object = own(rows)
        except Exception as exc:  # whatever a stranger's module does
            raise TrainingError(f"{label}: fails on float32 {list(rows.shape)}: {innermost(exc)}") from exc
        outputs = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if not all(isinstance(output, Tensor) for output in outputs):
            kinds = ", ".join(type(output).__name__ for output in outputs)
            raise TrainingError(f"{label}: answers {kinds}, must answer a tensor or a tuple of tensors")
        return tuple(output for output in outputs if isinstance(output, Tensor))

    return own, run


def _by_role(part: Part, own_rows: Tensor) -> dict[str, Tensor]:
    outputs = part.run(own_rows)
    if len(outputs) != len(part.roles):
        raise TrainingError(f"{part.label}: answers {len(outputs)} tensors one time and {len(part.roles)} another")
    for role, output in zip(part.roles, outputs, strict=True):
        if role != "ignored" and (output.ndim < 1 or len(output) != len(own_rows)):
            raise TrainingError(
                f"{part.label}: answers {role} of shape {list(output.shape)} for {len(own_rows)} rows: its first axis "
                "must be theirs, however many there are"
            )
    return dict(zip(part.roles, outputs, strict=True))


def _expect(label: str, role: str, answer: Tensor, row_shape: tuple[int, ...]) -> Tensor:
    if answer.shape[1:] != row_shape:
        raise TrainingError(
            f"{label}: answers {role} of shape {list(answer.shape[1:])} a row, and the spec says {list(row_shape)}"
        )
    return answer
