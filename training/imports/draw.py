"""Draws within an encoder: mean + exp(log_variance / 2) * noise -> the mean and the log-variance."""

from collections.abc import Iterator

import onnx
from torch import Tensor

from training.export.graphs import RANDOM
from vaeserve.errors import TrainingError

LEAST_NOISE, MOST_NOISE = 0.8, 1.25  # root mean square of a draw's noise; thousands of normals have 1
_PASSING = ("Cast", "Identity")  # these leave values as they are


def without_draw(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a graph that answers mean and log_variance where the original draws from them; itself if it draws not.

    Raises:
        TrainingError: it draws in another way.
    """
    draws = [node for node in model.graph.node if node.op_type.startswith(RANDOM)]
    if not draws:
        return model
    if len(draws) > 1:
        raise TrainingError(f"encoder: draws {len(draws)} times; one draw from a posterior can be taken away")
    makers = {name: node for node in model.graph.node for name in node.output}
    product = _user(model, draws[0].output[0], "Mul")
    deviation = _other(product, draws[0].output[0], makers)
    total = _user(model, product.output[0], "Add")
    mean = _other(total, product.output[0], makers)
    exponential = _maker(makers, deviation, "Exp")
    half = _maker(makers, exponential.input[0], "Mul")
    log_variance = next((name for name in half.input if _is_computed(makers, name)), "")
    if not log_variance:
        raise _refusal("the exponential is not of half a log-variance")
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    kind = model.graph.output[0].type.tensor_type.elem_type
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in (mean, log_variance))
    _drop_unused(cut.graph)
    return cut


def _user(model: onnx.ModelProto, name: str, operator: str) -> onnx.NodeProto:
    """Returns the one node that takes a value, behind casts."""
    users = [node for node in model.graph.node if name in node.input]
    if len(users) == 1 and users[0].op_type in _PASSING:
        return _user(model, users[0].output[0], operator)
    if len(users) != 1 or users[0].op_type != operator:
        raise _refusal(f"its noise does not go into a single {operator}")
    return users[0]


def _maker(makers: dict[str, onnx.NodeProto], name: str, operator: str) -> onnx.NodeProto:
    """Returns the node that makes a value, before casts."""
    node = makers.get(name)
    if node is not None and node.op_type in _PASSING:
        return _maker(makers, node.input[0], operator)
    if node is None or node.op_type != operator:
        raise _refusal(f"its standard deviation does not come from {operator}")
    return node


def _other(node: onnx.NodeProto, name: str, makers: dict[str, onnx.NodeProto]) -> str:
    """Returns the input of a sum or product that does not come from a value."""
    others = [taken for taken in node.input if name not in _sources(makers, taken)]
    if len(others) != 1:
        raise _refusal("its noise meets itself")
    return others[0]


def _sources(makers: dict[str, onnx.NodeProto], name: str) -> Iterator[str]:
    """Yields a value and what it is a cast of."""
    yield name
    node = makers.get(name)
    if node is not None and node.op_type in _PASSING:
        yield from _sources(makers, node.input[0])


def _is_computed(makers: dict[str, onnx.NodeProto], name: str) -> bool:
    node = makers.get(name)
    if node is None or node.op_type == "Constant":
        return False
    return node.op_type not in _PASSING or _is_computed(makers, node.input[0])


def _refusal(reason: str) -> TrainingError:
    return TrainingError(f"encoder: draws random numbers in a way that cannot be taken away: {reason}")


def _drop_unused(graph: onnx.GraphProto) -> None:
    needed, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def check_draw(moments: tuple[Tensor, ...], drawn: Tensor) -> None:
    """Makes sure that the original draws from what its graph answers without the draw. Raises TrainingError."""
    mean, log_variance = (tensor.double() for tensor in moments)
    noise = float(((drawn.double() - mean) / (0.5 * log_variance).exp()).square().mean().sqrt())
    if not LEAST_NOISE < noise < MOST_NOISE:
        raise _refusal(f"its noise has a standard deviation of {noise:.3g}, must be 1")
