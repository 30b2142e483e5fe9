"""The pair with grids of latents."""

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Generator, Tensor, nn
from torch.nn import functional

from training.export.graphs import export_graph
from training.export.probes import GraphModule
from training.likelihoods import likelihood_of
from training.networks import Sizes, grid
from training.networks.pair import Blueprint, DiagonalGaussian, Networks
from training.objective import TermWeights, negative_elbo
from training.scaling import scaling_of
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec

HIDDEN = (6, 8)
COARSE = 3 * 4 * 12  # the latents of the coarsest level of pictures of 10 x 14


def pictures(channels: int) -> Tensor:
    white = torch.randn(80, 1, 16, 20, generator=Generator().manual_seed(0))
    own = torch.randn(80, channels, 10, 14, generator=Generator().manual_seed(1))
    values = 128 + 250 * functional.avg_pool2d(white, 7, 1) + 5 * own
    return values.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def pair(rows: Tensor, family: str, latent: int, *, begins: bool = True, blocks: int = 1) -> Networks:
    spec = DataSpec(kind="image", shape=tuple(rows.shape[1:]), dtype="uint8", minimum=0, maximum=255)
    scaling = scaling_of(spec, rows, family)
    likelihood = likelihood_of(family, spec, scaling)
    torch.manual_seed(0)
    networks = Networks(Blueprint("grid", Sizes(HIDDEN, blocks), latent, "gaussian", likelihood, scaling))
    with torch.no_grad():
        networks.decoder.bias.copy_(likelihood.initial_parameters(rows))
    if begins:
        grid.begin(networks, rows, mirrors=False)
    return networks


def nats(networks: Networks, rows: Tensor) -> float:
    noise = torch.randn(1, len(rows), networks.encoder(rows[:1]).mean.shape[1], generator=Generator().manual_seed(1))
    return float(negative_elbo(networks, rows.float(), rows, noise, TermWeights(1.0)).loss.mean())


@pytest.mark.parametrize("family", ["gaussian", "logistic", "logistic-mixture"])
def test_the_first_bound_is_better_than_without_latents(family: str) -> None:
    rows = pictures(3)
    with torch.inference_mode():
        begun, mean_row = pair(rows, family, COARSE), pair(rows, family, COARSE, begins=False)
        without = -float(mean_row.decoder.likelihood(rows, mean_row.decoder.bias.expand(80, -1, -1, -1)).mean())
        assert nats(begun, rows) < without - 50


@pytest.mark.parametrize(("channels", "latent"), [(3, COARSE), (3, COARSE + 2 * 6 * 8), (1, 12 * 3), (1, 12 * 4 + 48)])
def test_a_row_is_encoded_and_decoded_in_all_its_places_and_alone(channels: int, latent: int) -> None:
    rows = pictures(channels)
    networks = pair(rows, "logistic-mixture", latent)
    with torch.inference_mode():
        posterior = networks.encoder(rows[:9])
        decoded = networks.decoder(posterior.mean).expectation
        assert posterior.mean.shape == (9, latent)
        assert decoded.shape == (9, 10, 14, channels)
        error = (decoded - rows[:9].float()).square().mean((0, 3))
        assert bool((error < 0.5 * rows.float().var(0).mean(2)).all())
        torch.testing.assert_close(networks.encoder(rows[3:4]).mean, posterior.mean[3:4], atol=1e-5, rtol=1e-5)
        alone = networks.decoder(posterior.mean[3:4]).expectation
        torch.testing.assert_close(alone, decoded[3:4], atol=1e-3, rtol=1e-5)


def test_latents_follow_the_prior_from_the_first_step_on() -> None:
    rows = pictures(3)
    with torch.inference_mode():
        posterior = pair(rows, "logistic-mixture", COARSE).encoder(rows)
    assert isinstance(posterior, DiagonalGaussian)
    second_moment = posterior.mean.square().mean(0) + posterior.log_variance.exp().mean(0)
    assert float(second_moment.mean()) == pytest.approx(1, abs=0.1)


def test_every_weight_has_a_gradient_after_a_step() -> None:
    rows = pictures(3)
    networks = pair(rows, "logistic-mixture", COARSE + 48)
    with torch.no_grad():  # corrections begin at zero, so what lies before them has no gradient in the first step
        for weight in networks.parameters():
            weight.add_(0.01 * torch.randn(weight.shape, generator=Generator().manual_seed(2)))
    noise = torch.randn(1, 80, COARSE + 48, generator=Generator().manual_seed(1))
    negative_elbo(networks, rows.float(), rows, noise, TermWeights(1.0)).loss.mean().backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in networks.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


class ThereAndBack(nn.Module):
    """Scaled rows -> what the decoder's body answers to the means of the encoder's: one graph, not two."""

    def __init__(self, networks: Networks, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = networks.encoder.body, networks.decoder.body, latent

    def forward(self, rows: Tensor) -> Tensor:
        answer: Tensor = self.decoder(self.encoder(rows)[:, : self.latent])
        return answer


def test_a_graph_answers_as_the_networks_do() -> None:
    rows = pictures(1)
    module = ThereAndBack(pair(rows, "logistic-mixture", 96, blocks=0), 96).eval()
    given = {"rows": (rows[:4] / 127.5 - 1).numpy()}
    graph = export_graph("both", GraphModule(module, ("rows",), ("answer",)), given)
    (answer,) = InferenceSession(graph.content).run(None, given)
    with torch.inference_mode():
        np.testing.assert_allclose(answer, module(torch.from_numpy(given["rows"])).numpy(), rtol=1e-4, atol=1e-5)


def test_a_likelihood_without_a_scale_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"begins as probabilistic PCA, and needs .*, not bernoulli$"):
        pair(pictures(1), "bernoulli", 36)
