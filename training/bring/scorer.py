"""The scorer: the likelihood by which a pair's data is judged, from a family or from its maker's own graph."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from training.bring import files
from training.bring.borders import Own, likelihood_graph
from training.bring.reference import OfExpectation, family_of
from training.bring.spec import Spec
from training.graphs import ExportedGraph, described, export_graph
from training.probes import Arrays, GraphModule
from vae import manifest
from vae.errors import TrainingError

UNKNOWN = "unknown"  # family of a likelihood that nobody told
INPUTS = ("data", "parameters")


class Scorer(NamedTuple):
    """data, parameters -> log_likelihood."""

    label: str
    module: GraphModule
    """What the graph must answer."""
    graph: Callable[[Arrays], ExportedGraph]
    """Example inputs -> the graph."""
    description: manifest.Likelihood


class _Own(nn.Module):
    """A graph of its maker's own as a module."""

    def __init__(self, file: files.GraphFile) -> None:
        super().__init__()
        self.label, self.names, self.run = file.label, [port.name for port in file.inputs], files.runner_of(file)

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        given = {"data": data, "parameters": parameters}
        (answer,) = self.run(*(given[name] for name in self.names))
        if answer.shape != (len(data),):
            raise TrainingError(
                f"{self.label}: answers {list(answer.shape)} for {len(data)} rows, must answer one number for each"
            )
        return answer.float()


def own_scorer(file: files.GraphFile, spec: Spec) -> Scorer:
    """Returns the scorer that a file holds.

    Raises:
        TrainingError: it is none, or ONNX Runtime does not take it.
    """
    names = [port.name for port in file.inputs]
    if sorted(names) != sorted(INPUTS) or len(file.outputs) != 1:
        raise TrainingError(
            f"{file.label}: takes {', '.join(names)} and has {len(file.outputs)} outputs: must take data and "
            "parameters, and answer the log-likelihood of each row"
        )

    def graph(example: Arrays) -> ExportedGraph:
        dtypes = tuple(port.dtype for port in file.inputs)
        own = Own(file.label, file.model, dtypes, tuple(names))
        return described(file.label, likelihood_graph(own, spec, example["parameters"].shape[1:]))

    module = GraphModule(_Own(file), INPUTS, ("log_likelihood",))
    return Scorer(file.label, module, graph, manifest.Likelihood(family=spec.likelihood or "own"))


def scorer_of(spec: Spec, decoder_roles: Sequence[str]) -> Scorer | None:
    """Returns the scorer of the family that the spec names; None where it names none.

    Raises:
        TrainingError: the family is unknown, or fits neither the data nor what the decoder answers.
    """
    family = family_of(spec)
    if "logits" in decoder_roles and (family is None or family.family not in ("bernoulli", "binomial")):
        raise TrainingError("likelihood: must be bernoulli or binomial, since the decoder answers logits")
    if family is None:
        return None
    is_direct = "logits" in decoder_roles or "parameters" in decoder_roles
    if family.family == "logistic" and not is_direct:
        raise TrainingError("likelihood: logistic needs scales too, and the decoder answers the expectation alone")
    module = GraphModule(family if is_direct else OfExpectation(family), INPUTS, ("log_likelihood",))

    def graph(example: Arrays) -> ExportedGraph:
        return export_graph("likelihood", module, example)

    return Scorer("likelihood", module, graph, family.describe())
