"""Borders: what lies between a component's own tensors and those of a package.

Each border is written once, in PyTorch. Run on tensors, it gives the reference answers. Run on the proxies of `join`,
it becomes nodes of the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor, nn

from training.bring.component import Component
from training.bring.roles import IGNORED, Outputs
from training.bring.spec import Spec
from training.scaling import as_data
from vaeserve.errors import TrainingError

LIKELIHOOD = Outputs("its outputs", (("log_likelihood",),))


class Border(NamedTuple):
    """What is before and after a part."""

    inputs: tuple[str, ...]
    """Of the package's graph, in order."""
    outputs: tuple[str, ...]
    before: Callable[..., Sequence[Tensor]]
    """The graph's inputs -> the component's own inputs."""
    after: Callable[[Mapping[str, Tensor]], Sequence[Tensor]]
    """The component's answers, by role -> the graph's outputs."""
    rows: Mapping[str, tuple[int, ...]]
    """The shape of one row of the component's answers, by role, as far as the spec gives it."""
    key: str = ""
    """The keys of the spec that give these shapes."""


def encoder_border(spec: Spec) -> Border:
    """Returns data [batch, *shape] -> mean, log_variance [batch, *latent_shape]; mean alone without a posterior."""
    size, *others = spec.latent_shape
    outputs = ("mean",) if spec.posterior == "none" else ("mean", "log_variance")

    def after(answers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        if "moments" in answers:
            return [answers["moments"].narrow(1, first, size).float() for first in (0, size)]
        return [answers[name].float() for name in outputs]

    rows = {"mean": spec.latent_shape, "log_variance": spec.latent_shape, "moments": (2 * size, *others)}
    return Border(("data",), outputs, lambda data: [to_own(data, spec)], after, rows, "latent_shape")


def decoder_border(spec: Spec, roles: Sequence[str]) -> Border:
    """Returns latent [batch, *latent_shape] -> data, expectation [batch, *shape], and parameters.

    The expectation takes the place of parameters where the decoder has none.

    Raises:
        TrainingError: it answers logits, and the data's minimum is not 0.
    """
    if "logits" in roles and spec.data.minimum != 0:
        raise TrainingError("minimum: must be 0, because the decoder answers logits")

    def after(answers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        parameters = answers.get("parameters")
        if "logits" in answers:
            parameters = _from_layout(answers["logits"], spec)
            expectation = _on_rows(lambda logits: logits.sigmoid() * spec.data.maximum, parameters, spec.shape)
        elif "data" in answers:
            expectation = answers["expectation"].float()
        else:
            expectation = from_own(answers["expectation"], spec)
        data = answers["data"] if "data" in answers else as_data(expectation, spec.data)
        return data, expectation, expectation if parameters is None else parameters.float()

    expectation = spec.shape if "data" in roles else spec.own_shape
    rows = {"data": spec.shape, "expectation": expectation, "logits": spec.own_shape}
    outputs = ("data", "expectation", "parameters")
    return Border(("latent",), outputs, lambda latent: [latent], after, rows, "shape and layout")


def likelihood_border() -> Border:
    """Returns data, parameters -> log_likelihood [batch], in nats."""
    name = "log_likelihood"
    return Border(("data", "parameters"), (name,), lambda *inputs: inputs, lambda answers: [answers[name].float()], {})


class Reference(nn.Module):
    """An original component between the tensors of a package. The graph must give the same answers."""

    def __init__(self, component: Component, border: Border) -> None:
        super().__init__()
        self.component, self.border = component, border

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs, in order.

        Raises:
            TrainingError: the component fails, or its answers have the wrong number or shape.
        """
        component, border = self.component, self.border
        answers = component.run(*border.before(*inputs))
        if len(answers) != len(component.roles):
            raise TrainingError(
                f"{component.label}: answers {len(answers)} tensors one time and {len(component.roles)} another"
            )
        for role, answer in zip(component.roles, answers, strict=True):
            if role != IGNORED:
                self._check(role, answer, len(inputs[0]))
        return tuple(border.after(dict(zip(component.roles, answers, strict=True))))

    def _check(self, role: str, answer: Tensor, rows: int) -> None:
        fault = f"{self.component.label}: answers {role} of shape {list(answer.shape)} for {rows} rows"
        if not answer.ndim or len(answer) != rows:
            raise TrainingError(f"{fault}: the first axis must be the rows, however many there are")
        row = self.border.rows.get(role, answer.shape[1:])
        if answer.shape[1:] != row:
            raise TrainingError(f"{fault}, must answer {[rows, *row]} by the spec's {self.border.key}")


def to_own(data: Tensor, spec: Spec) -> Tensor:
    """Returns rows [batch, *shape] in the pair's own layout and range, in float32."""
    values = data.float()
    if spec.scaled_to is not None:
        values = _on_rows(lambda rows: (rows - spec.center) / spec.scale, values, spec.shape)
    if spec.has_other_axes:
        values = values.permute(0, 3, 1, 2)
    return values.reshape(-1, *spec.own_shape) if spec.layout == "flat" else values


def from_own(values: Tensor, spec: Spec) -> Tensor:
    """Returns the pair's own values as data [batch, *shape], in float32 and not rounded."""
    values = _from_layout(values, spec)
    if spec.scaled_to is None:
        return values
    return _on_rows(lambda rows: rows * spec.scale + spec.center, values, spec.shape)


def _on_rows(change: Callable[[Tensor], Tensor], values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Applies a change to values as flat rows; `training.scaling.flat` says why."""
    return change(values.reshape(-1, prod(shape))).reshape(-1, *shape)


def _from_layout(values: Tensor, spec: Spec) -> Tensor:
    values = values.float()
    if not spec.has_other_axes:
        return values
    height, width, channels = spec.shape
    if spec.layout == "flat":
        values = values.reshape(-1, channels, height, width)
    return values.permute(0, 2, 3, 1)
