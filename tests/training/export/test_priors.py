"""The mixture that is fitted, and its graphs under ONNX Runtime, against scikit-learn's and SciPy's own mathematics."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import numpy_helper
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from serving.engine.rows import DecodeResult, PriorRows
from serving.models.loading import load
from serving.settings import read_settings
from tests.support.packages import TINY
from training.export.graphs import ExportedGraph
from training.export.onnx_runner import open_session
from training.export.package import Contents, write_package
from training.export.parity import prove
from training.export.priors import ExportedPrior, export_mixture, fit_mixture
from training.export.probes import Probe
from training.networks.prior import Density, Mixture
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

Floats = npt.NDArray[np.floating]
WEIGHTS = np.array([0.2, 0.5, 0.3])
MEANS = np.array([[3.0, 0.0, 1.0], [-2.0, 1.0, 1.0], [0.0, -40.0, -1.0]])
FACTORS = np.array(
    [
        [[0.5, 0.0, 0.0], [0.3, 0.2, 0.0], [0.0, 0.1, 1.0]],
        [[1.0, 0.0, 0.0], [-0.9, 0.1, 0.0], [0.5, 0.0, 0.5]],
        [[0.05, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 2.0]],
    ]
)
DRAWS = 20_000


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture(WEIGHTS, MEANS, FACTORS)


@pytest.fixture(scope="module")
def exported(mixture: Mixture) -> ExportedPrior:
    return export_mixture("gmm", mixture)


@pytest.fixture(scope="module")
def noise() -> npt.NDArray[np.float32]:
    return standard_normals(Purpose.PRIOR, [RowRange(11, 0, DRAWS)], 4)


def latents(rows: int = 2000) -> Floats:
    """Draws from the mixture by another generator."""
    random = np.random.default_rng(0)
    component = random.choice(3, rows, p=WEIGHTS)
    drawn: Floats = MEANS[component] + np.einsum("nij,nj->ni", FACTORS[component], random.normal(size=(rows, 3)))
    return drawn


def of_sklearn(mixture: Mixture) -> GaussianMixture:
    """The same mixture as scikit-learn has it."""
    made = GaussianMixture(len(mixture.weights))
    made.weights_, made.means_ = mixture.weights.numpy(), mixture.means.numpy()
    made.covariances_ = (mixture.factors @ mixture.factors.mT).numpy()
    made.precisions_cholesky_ = np.linalg.inv(mixture.factors.numpy()).swapaxes(1, 2)
    return made


def sample(exported: ExportedPrior, noise: Floats, temperature: float) -> Floats:
    session = open_session("prior", exported.graph.content)
    feeds = {"noise": noise, "temperature": np.full(len(noise), temperature, np.float32)}
    found: Floats = session.run(["latent"], feeds)[0]
    return found


def score(exported: ExportedPrior, latent: Floats) -> Floats:
    session = open_session("density", exported.density.content)
    found: Floats = session.run(["log_prior"], {"latent": latent.astype(np.float32)})[0]
    return found


def test_samples_have_the_mixtures_proportions_means_and_covariances(exported: ExportedPrior, noise: Floats) -> None:
    drawn = sample(exported, noise, 1.0).astype(np.float64)
    component = of_sklearn(Mixture(WEIGHTS, MEANS, FACTORS)).predict(drawn)
    for k in range(3):
        own = drawn[component == k]
        assert abs(len(own) / DRAWS - WEIGHTS[k]) < 4 * np.sqrt(WEIGHTS[k] * (1 - WEIGHTS[k]) / DRAWS)
        covariance = FACTORS[k] @ FACTORS[k].T
        assert np.all(np.abs(own.mean(0) - MEANS[k]) < 4 * np.sqrt(covariance.diagonal() / len(own)))
        wishart = np.sqrt((covariance**2 + np.outer(*[covariance.diagonal()] * 2)) / len(own))
        assert np.all(np.abs(np.cov(own.T) - covariance) < 4 * wishart)


def test_samples_are_as_likely_as_sklearns_own(exported: ExportedPrior, mixture: Mixture, noise: Floats) -> None:
    theirs = of_sklearn(mixture)
    theirs.random_state = 0
    ours, other = (theirs.score_samples(drawn) for drawn in (sample(exported, noise, 1.0), theirs.sample(DRAWS)[0]))
    assert abs(ours.mean() - other.mean()) < 4 * np.sqrt((ours.var() + other.var()) / DRAWS)


def test_temperature_scales_the_spread_within_a_component_alone(exported: ExportedPrior, noise: Floats) -> None:
    hot, cold, frozen = (sample(exported, noise, temperature).astype(np.float64) for temperature in (1, 0.25, 1e-6))
    assert {tuple(row) for row in frozen.round(3) + 0.0} == {tuple(row) for row in MEANS}
    np.testing.assert_allclose(cold - frozen, (hot - frozen) * 0.25, atol=1e-4)


def test_the_density_is_that_of_sklearn_and_scipy(exported: ExportedPrior, mixture: Mixture) -> None:
    rows = np.concatenate([latents(200), 100 * latents(50)]).astype(np.float32)
    found = score(exported, rows)
    np.testing.assert_allclose(found, of_sklearn(mixture).score_samples(rows.astype(np.float64)), rtol=1e-5, atol=1e-5)
    terms = [
        np.log(w) + multivariate_normal(m, f @ f.T).logpdf(rows)
        for w, m, f in zip(WEIGHTS, MEANS, FACTORS, strict=True)
    ]
    np.testing.assert_allclose(found, logsumexp(terms, 0), rtol=1e-5, atol=1e-5)


def test_the_graphs_are_proved_and_every_component_is_probed(exported: ExportedPrior, mixture: Mixture) -> None:
    spec = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)
    parity = prove({name: graph.content for name, graph in exported.graphs.items()}, exported.probes, spec)
    assert [check.output for check in parity.checks] == ["prior.gmm.latent", "density.gmm.log_prior"]
    for name, graph in exported.graphs.items():
        with pytest.raises(TrainingError, match=rf"^{name}\.\w+: ONNX Runtime's answers lie up to"):
            prove({name: last_altered(graph.content)}, exported.probes, spec)
    probed = exported.probes["prior.gmm"].inputs["noise"][-3:, :1]
    assert (probed > mixture.thresholds.numpy()).sum(1).tolist() == [0, 1, 2]


def last_altered(content: bytes) -> bytes:
    """Returns a graph in which one number of its largest constant is another: one of the last component's."""
    model = onnx.load_from_string(content)
    largest = max(model.graph.initializer, key=lambda tensor: numpy_helper.to_array(tensor).size)
    values = numpy_helper.to_array(largest).copy()
    values.flat[-1] *= 1.01
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    return model.SerializeToString()


def test_a_row_gets_the_same_bits_in_any_company(exported: ExportedPrior, noise: Floats) -> None:
    whole = sample(exported, noise[:500], 0.7)
    order = np.random.default_rng(0).permutation(500)
    np.testing.assert_array_equal(sample(exported, noise[:500][order], 0.7), whole[order])
    for row in range(20):
        np.testing.assert_array_equal(sample(exported, noise[row : row + 1], 0.7), whole[row : row + 1])


def test_a_fit_finds_the_mixture_again(mixture: Mixture) -> None:
    rows = latents(20_000)
    found = fit_mixture(rows, 3, seed=1)
    order = np.argsort(found.weights.numpy())
    np.testing.assert_allclose(found.weights.numpy()[order], np.sort(WEIGHTS), atol=0.02)
    np.testing.assert_allclose(found.means.numpy()[order], MEANS[np.argsort(WEIGHTS)], rtol=0.02, atol=0.1)
    with torch.inference_mode():
        own = Density(found)(torch.from_numpy(rows).float()).double().mean()
    assert float(own) == pytest.approx(of_sklearn(mixture).score(rows), abs=0.01)


def test_the_same_seed_gives_the_same_mixture() -> None:
    rows = latents(500)
    one, other = (fit_mixture(rows, 4, seed=3) for _ in range(2))
    assert [torch.equal(one.state_dict()[key], value) for key, value in other.state_dict().items()] == [True] * 4


@pytest.mark.parametrize("seed", [2**32, 2**63 - 1])
def test_a_seed_may_be_as_large_as_a_run_may_have_it(seed: int) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    assert len(fit_mixture(rows, 2, seed).weights) == 2


def test_it_takes_as_many_components_as_pay() -> None:
    random = np.random.default_rng(0)
    assert len(fit_mixture(random.normal(5, 3, (500, 4)), "auto", 0).weights) == 1
    rows = np.concatenate(
        [random.normal(center, 0.1, (200, 3)) for center in np.eye(3)[[0, 0, 1, 2]] * [[9], [0], [9], [9]]]
    )
    assert len(fit_mixture(rows, "auto", 0).weights) in (5, 10)
    assert len(fit_mixture(rows[:8], "auto", 0).weights) == 1


@pytest.mark.parametrize(
    ("rows", "components", "kept"),
    [
        (np.full((50, 3), 7.0), 5, 1),
        (np.tile(np.random.default_rng(0).normal(size=(3, 2)), (20, 1)), 10, 3),
        (np.random.default_rng(0).normal(size=(100, 3)) * [1, 0, 1e-12] + [0, 1e6, 0], 2, 2),
        (np.random.default_rng(0).normal(size=(100, 2)) * [1e-3, 1e6] + [0, 1e9], 2, 2),
        (np.random.default_rng(0).normal(size=(5, 40)), 5, 5),
        (np.random.default_rng(0).normal(size=(200, 2)) * 1e6 + 1e9, 4, 4),
    ],
    ids=["one point", "three points", "constant values", "unlike scales", "fewer rows than values", "far away"],
)
def test_degenerate_latents_still_have_a_density(rows: Floats, components: int, kept: int) -> None:
    mixture = fit_mixture(rows, components, seed=0)
    assert len(mixture.weights) == kept
    assert float(mixture.weights.sum()) == pytest.approx(1)
    size = rows.shape[1]
    noise = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(0, 0, 200)], size + 1))
    with torch.inference_mode():
        drawn = mixture(noise, torch.ones(200))
        assert bool(torch.isfinite(Density(mixture)(drawn)).all())
    spread, rounding = np.maximum(rows.std(0), 0.002 * rows.std(0).max()), 1e-6 * np.abs(rows).max(0)
    assert np.all(np.abs(drawn.double().numpy().mean(0) - rows.mean(0)) < spread / 2 + rounding + 0.001)
    assert np.all(drawn.double().numpy().std(0) < 2 * spread + rounding + 0.002)


@pytest.mark.parametrize(
    ("rows", "components", "said"),
    [
        (np.zeros((3, 2)), 4, "latents: 3 rows are too few for a mixture of 4 components"),
        (np.zeros((1, 2)), "auto", "latents: 1 rows are too few"),
        (np.zeros((3, 2)), 0, "components: is 0, must be 1 or more, or auto"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), 1, "latents: NaN or infinity in row 1"),
    ],
)
def test_latents_that_no_prior_fits(rows: Floats, components: int, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        fit_mixture(rows, components, seed=0)


def test_a_prior_is_packaged_proved_and_served_beside_the_standard_one(
    exported: ExportedPrior, mixture: Mixture, tmp_path: Path
) -> None:
    tiny = ModelPackage.open(TINY)
    written, parity = write_package(
        tmp_path / "model",
        contents_of(tiny)._replace(priors=[exported], default_prior="gmm"),
        overwrite=False,
    )
    manifest = ModelPackage.open(tmp_path / "model").manifest
    assert [(prior.name, prior.noise_size) for prior in manifest.priors] == [("standard", 3), ("gmm", 4)]
    assert manifest.fingerprint == tiny.manifest.fingerprint
    assert [check.output for check in parity.checks[-2:]] == ["prior.gmm.latent", "density.gmm.log_prior"]
    assert [file.file for file in manifest.files[3:]] == [
        "prior-gmm.onnx",
        "density-gmm.onnx",
        "probes.npz",
        "README.md",
        "samples.png",
    ]
    rows = PriorRows(RowRange(3, 0, 5), 0.5, "data", prior=manifest.default_prior)
    settings = {"package": str(written.directory), "provider": "cpu", "threads": "1", "batch_rows": "16"}
    [answer] = load(written.directory, read_settings(settings)).engine.decode([rows])
    assert isinstance(answer, DecodeResult)
    noise = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(3, 0, 5)], 4))
    np.testing.assert_allclose(answer.latent, mixture(noise, torch.full((5,), 0.5)), rtol=1e-6)


CARD = {"README.md": b"![](samples.png)", "samples.png": b"\x89PNG"}


def contents_of(package: ModelPackage) -> Contents:
    """Returns what a package was made of, as a trainer would have it."""
    manifest, probes = package.manifest, package.read_probes()
    graphs = manifest.graphs.by_name
    return Contents(
        name=manifest.name,
        data=manifest.data,
        latent_shape=manifest.latent.shape,
        posterior=manifest.posterior,
        likelihood=manifest.likelihood,
        graphs={
            name: ExportedGraph(package.read(graph), graph.opset, graph.inputs, graph.outputs)
            for name, graph in graphs.items()
        },
        probes={
            name: Probe(
                *({spec.name: probes[f"{name}.{spec.name}"] for spec in side} for side in (graph.inputs, graph.outputs))
            )
            for name, graph in graphs.items()
        },
        card=CARD,
        metrics={},
        preprocessing="",
        provenance=None,
    )
