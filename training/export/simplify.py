"""Simplifies a traced graph by onnxscript's optimiser, without the constants that it would lose.

It takes a number below 1e-8 for 0 and one within 1e-5 of 1 for 1, and drops the sum or the product: `log(x + 1e-10)`
becomes `log(x)`, which is infinite at 0. So such constants are inputs of the graph while it works.
"""

import numpy as np
import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes.common import RemoveUnusedNodesPass

_ZERO, _ONE = 1e-8, 1e-5  # how far the optimiser looks


def simplify(model: ir.Model) -> None:
    """Simplifies a graph in place; what it answers stays the same."""
    hidden = {_hide(model.graph, node): node for node in list(model.graph) if _is_at_risk(node)}
    onnxscript.optimizer.optimize(model)
    if hidden:
        for value, node in hidden.items():
            model.graph.inputs.remove(value)
            model.graph.insert_before(model.graph[0], node)
            ir.convenience.replace_all_uses_with(value, node.outputs[0])
        onnxscript.optimizer.fold_constants(model)
        RemoveUnusedNodesPass()(model)


def _is_at_risk(node: ir.Node) -> bool:
    if node.op_type != "Constant" or not node.outputs[0].uses():
        return False
    number = _number(node)
    return number is not None and (0 < abs(number) <= _ZERO or 0 < abs(number - 1) <= _ONE)


def _number(node: ir.Node) -> float | None:
    """Returns the single number that a constant is; None for any other constant."""
    attribute = next(iter(node.attributes.values()))
    if attribute.type is ir.AttributeType.FLOAT:
        return attribute.as_float()
    if attribute.type is not ir.AttributeType.TENSOR:
        return None
    values = attribute.as_tensor().numpy()
    return float(values) if values.ndim == 0 and np.issubdtype(values.dtype, np.floating) else None


def _hide(graph: ir.Graph, node: ir.Node) -> ir.Value:
    """Puts an input in the place of a constant and takes the constant out of the graph."""
    output = node.outputs[0]
    value = ir.val(f"hidden_{output.name}", dtype=output.dtype or ir.DataType.FLOAT, shape=())
    ir.convenience.replace_all_uses_with(output, value)
    graph.inputs.append(value)
    graph.remove(node)
    return value
