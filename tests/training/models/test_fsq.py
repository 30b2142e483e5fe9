from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from training import cli
from training.data import Dataset
from training.export.graphs import ExportedGraph, export_graph
from training.export.onnx_runner import open_session, run
from training.export.parity import prove
from training.export.priors import export_prior
from training.export.probes import Probe, probe
from training.models.fsq import Quantiser, Quantising, learned, shares_of
from training.run.publish import modules_of
from training.settings.config import Config
from training.step.loop import epochs
from training.step.state import start
from vaeserve.package.row_spec import Array
from vaeserve.rows.codes import latents_of
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

LEVELS, SIZE = 5, 3


@pytest.fixture(scope="module")
def networks(dataset: Dataset) -> Quantising:
    config = Config(model="fsq", hidden_sizes=(32,), latent_size=SIZE, levels=LEVELS, epochs=4, learning_rate=1e-2)
    state = start(config, dataset)
    list(epochs(config, dataset, state))
    return cast(Quantising, state.networks)


@pytest.fixture(scope="module")
def encoder(networks: Quantising, dataset: Dataset) -> tuple[ExportedGraph, Probe]:
    module = modules_of(networks)["encoder"]
    tried = probe(module, {"data": dataset.test[:64]})
    return export_graph("encoder", module, tried.inputs), tried


@pytest.fixture(scope="module")
def graphs(networks: Quantising, encoder: tuple[ExportedGraph, Probe], dataset: Dataset) -> dict[str, ExportedGraph]:
    return {"encoder": encoder[0], **export_prior("learned", learned(networks, dataset.train)).graphs}


def answers(graphs: dict[str, ExportedGraph], name: str, inputs: Mapping[str, Array], *outputs: str) -> list[Array]:
    return run(open_session(name, graphs[name].content), dict(inputs), outputs)


@pytest.mark.parametrize(("levels", "lowest", "highest"), [(3, -1, 1), (4, -1, 0.5), (5, -1, 1), (8, -1, 0.75)])
def test_every_level_is_reached_and_an_answer_of_0_lies_on_one(levels: int, lowest: float, highest: float) -> None:
    quantiser = Quantiser(levels)
    wide = quantiser(torch.linspace(-9, 9, 10_001)[:, None])
    assert wide.codes.dtype == torch.uint16
    assert sorted(set(wide.codes.flatten().tolist())) == list(range(levels))
    assert (wide.mean.min().item(), wide.mean.max().item()) == (lowest, highest)
    assert (wide.mean.diff(dim=0) >= 0).all()
    np.testing.assert_array_equal(latents_of(wide.codes.numpy(), [levels]).view("u4"), wide.mean.numpy().view("u4"))
    torch.testing.assert_close(quantiser.codes_of(wide.mean), wide.codes.long())
    middle = quantiser(torch.zeros(1, 1))
    torch.testing.assert_close(middle.unrounded.item(), float(levels // 2), atol=1e-6, rtol=0)
    assert middle.mean.item() == 0


def test_gradients_pass_the_rounding() -> None:
    answer = torch.tensor([[0.3]], requires_grad=True)
    quantised = Quantiser(8)(answer)
    (through,) = torch.autograd.grad(quantised.mean.sum(), answer, retain_graph=True)
    (unrounded,) = torch.autograd.grad(quantised.unrounded.sum(), answer)
    assert through.item() == pytest.approx(unrounded.item() / 4)
    assert unrounded.item() > 0


def test_the_graph_answers_codes_and_the_latents_that_they_stand_for(
    graphs: dict[str, ExportedGraph], dataset: Dataset
) -> None:
    rows = dataset.test[:64].numpy()
    mean, codes, unrounded = answers(graphs, "encoder", {"data": rows}, "mean", "codes", "unrounded")
    assert (codes.dtype.name, codes.shape) == ("uint16", (64, SIZE))
    np.testing.assert_array_equal(codes, np.round(unrounded))
    np.testing.assert_array_equal(mean.view("u4"), latents_of(codes, [LEVELS] * SIZE).view("u4"))
    assert len(np.unique(codes)) == LEVELS
    alone = [answers(graphs, "encoder", {"data": rows[row : row + 1]}, "codes")[0] for row in range(8)]
    np.testing.assert_array_equal(np.concatenate(alone), codes[:8])


def test_codes_are_proved_as_codes(encoder: tuple[ExportedGraph, Probe], dataset: Dataset) -> None:
    parity = prove({"encoder": encoder[0].content}, {"encoder": encoder[1]}, dataset.spec)
    tolerances = {check.output: check.tolerance for check in parity.checks}
    assert tolerances["encoder.codes"] == "0, or 1 within 5e-05 + 2e-04 |reference| of a rounding tie"


def test_the_learned_prior_is_the_frequencies_of_training_rows(
    graphs: dict[str, ExportedGraph], networks: Quantising, dataset: Dataset
) -> None:
    with torch.inference_mode():
        codes = networks.encoder(dataset.train).codes.numpy()
    shares = np.stack([np.bincount(column, minlength=LEVELS) + 1 for column in codes.T]) / (len(codes) + LEVELS)
    every = np.stack(np.meshgrid(*[np.arange(LEVELS)] * SIZE, indexing="ij"), axis=-1).reshape(-1, SIZE)
    (log_prior,) = answers(graphs, "density.learned", {"latent": latents_of(every, [LEVELS] * SIZE)}, "log_prior")
    np.testing.assert_allclose(np.exp(log_prior.astype(np.float64)).sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(log_prior, np.log(shares)[np.arange(SIZE), every].sum(1), rtol=1e-5)

    latent = drawn(graphs, 20_000, 1.0)
    half = LEVELS // 2
    counts = [np.bincount(column, minlength=LEVELS) for column in np.rint(latent.T * half + half).astype(int)]
    np.testing.assert_allclose(np.stack(counts) / len(latent), shares, atol=0.015)


def test_a_low_temperature_draws_each_positions_median(graphs: dict[str, ExportedGraph]) -> None:
    cold, warm = drawn(graphs, 500, 1e-6), drawn(graphs, 500, 1.0)
    assert (cold == cold[0]).all()
    np.testing.assert_allclose(cold[0], np.median(warm, axis=0), atol=1 / (LEVELS // 2))


def drawn(graphs: dict[str, ExportedGraph], rows: int, temperature: float) -> Array:
    noise = standard_normals(Purpose.PRIOR, [RowRange(7, 0, rows)], SIZE)
    inputs = {"noise": noise, "temperature": np.full(rows, temperature, np.float32)}
    return answers(graphs, "prior.learned", inputs, "latent")[0]


def test_levels_that_never_occur_have_a_share() -> None:
    shares = shares_of(torch.tensor([[0, 2], [0, 2], [1, 2]]), 4)
    torch.testing.assert_close(shares[0] * 7, torch.tensor([3.0, 2, 1, 1]).double())
    torch.testing.assert_close(shares.sum(1), torch.ones(2).double())


def test_a_mixture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brief = tmp_path / "brief.toml"
    brief.write_text("mixture_components = 5\n")
    with pytest.raises(SystemExit):
        cli.train(["digits", "--out", str(tmp_path / "run"), "--model", "fsq", "--config", str(brief)])
    assert "mixture-components: has no effect with the model fsq" in capsys.readouterr().err
