from collections.abc import Sequence

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn

from tests.support.flat_pictures import spec
from training.bring.borders import encoder_border
from training.bring.bring import _candidate
from training.bring.component import module_component
from training.bring.spec import Spec
from training.bring.trial import Trial, trial_rows
from training.bring.verdict import verdict
from training.export import onnx_runner
from training.export.graphs import export_graph
from training.export.parity import Disagreement
from training.export.probes import GraphModule, Probe, TensorArrays, probe_all
from vaeserve.errors import OutOfMemory
from vaeserve.package.contents import Tolerance

FOUND = Disagreement("encoder.mean", "")


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 2)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.layer(rows)
        return mean, torch.zeros_like(mean)


class Case:
    """An encoder, its probe and its graph."""

    def __init__(self, spec: Spec, *, given: bool) -> None:
        torch.manual_seed(0)
        component = module_component("encoder", Encoder(), spec.encoder, spec.own_shape)
        candidate = _candidate(component, encoder_border(spec))
        decoder = GraphModule(nn.Linear(2, 12), ("latent",), ("expectation",))
        probes = probe_all({"encoder": candidate.module, "decoder": decoder}, spec.data, trial_rows(None, spec))
        self.trial = Trial(spec.data, given, probes, Tolerance(absolute=1e-5, relative=1e-4))
        self.content = candidate.graph(probes["encoder"]).content
        self.exact = candidate.exact

    def off_by(self, distance: float, rows: Sequence[int]) -> Trial:
        """Returns the trial with a reference that is off on some rows."""
        inputs, outputs = self.trial.probes["encoder"]
        mean = outputs["mean"].astype(np.float32)
        mean[list(rows)] += distance
        probe = Probe(inputs, {**outputs, "mean": mean})
        return self.trial._replace(probes={**self.trial.probes, "encoder": probe})


@pytest.mark.parametrize(
    ("given", "rows", "named"),
    [
        (True, [0, 60], "1 of 40 given rows and 1 of 8 flat rows"),
        (True, [40, 41], "2 of 16 random rows"),
        (False, [0, 40], "2 of 56 random rows"),
    ],
)
def test_a_reference_that_is_off_is_blamed_and_its_rows_are_named(given: bool, rows: list[int], named: str) -> None:
    case = Case(spec(), given=given)
    said = verdict(case.off_by(0.5, rows), FOUND, case.content, case.exact)
    assert said.startswith(f"it disagrees on {named}; in float64 the module lies 0.5 from PyTorch's float32 and ")
    assert said.endswith(" from the graph: PyTorch's float32 is off; `tolerance` allows more")


def test_a_graph_that_is_off_is_blamed() -> None:
    case = Case(spec(), given=True)
    other = GraphModule(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), ("data",), ("mean",))
    content = export_graph("encoder", other, {"data": np.zeros((2, 2, 2, 3), np.float32)}).content
    inputs, outputs = case.trial.probes["encoder"]
    probe = Probe({"data": inputs["data"].astype(np.float32)}, {"mean": outputs["mean"]})
    said = verdict(case.trial._replace(probes={"encoder": probe}), FOUND, content, case.exact)
    assert ": the graph is off; `tolerance`" in said


def test_without_float64_no_side_is_blamed() -> None:
    case = Case(spec(), given=True)
    said = verdict(case.off_by(0.5, [3]), FOUND, case.content, None)
    assert said == "it disagrees on 1 of 40 given rows; `tolerance` allows more"


def test_latents_and_rows_of_a_table_have_names_of_their_own() -> None:
    trial = Case(spec(), given=True).trial
    assert trial.named("decoder", [0, 40, 63]) == (
        "1 of 40 latents of given rows and 1 of 16 draws from N(0, I) and 1 of 8 latents far out"
    )
    table = spec(kind="table", shape=12, dtype="float32", minimum=0.0, maximum=1.0, layout="flat", scaled_to=None)
    assert trial._replace(data=table.data).named("encoder", [63]) == "1 of 8 extreme rows"


def test_a_verdict_takes_no_more_rows_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(spec(), given=True)
    run = onnx_runner.run

    def run_with_little_memory(
        session: InferenceSession, inputs: TensorArrays, names: Sequence[str]
    ) -> list[np.ndarray]:
        if len(next(iter(inputs.values()))) > 3:
            raise OutOfMemory("4 rows took more memory than there is")
        return run(session, inputs, names)

    monkeypatch.setattr(onnx_runner, "run", run_with_little_memory)
    said = verdict(case.off_by(0.5, [3]), FOUND, case.content, None)
    assert said == "it disagrees on 1 of 40 given rows; `tolerance` allows more"


def test_in_float64_too_wide_rows_are_computed_a_few_at_a_time() -> None:
    case, given = Case(spec(), given=True), list[int]()
    assert case.exact is not None
    case.exact.module.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs[0])))
    trial = case.off_by(0.5, range(12))
    wide = trial.data.model_copy(update={"axes": (64, 64, 3)})  # of which 10 rows fit
    verdict(trial._replace(data=wide), FOUND, case.content, case.exact)
    assert given == [10, 2]
