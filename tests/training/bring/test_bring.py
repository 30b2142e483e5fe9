from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.linear_pair import SPEC, U, V, W, decoder, encoder, model, save
from training.bring.bring import package_files
from training.bring.spec import parse_spec
from training.export.onnx_runner import open_session, run_in_batches
from vaeserve.errors import PackageError, TrainingError
from vaeserve.package.directory import ModelPackage

Array = npt.NDArray[Any]
Bring = Callable[..., ModelPackage]
RANDOM = np.random.default_rng(0)
DATA = RANDOM.uniform(-9, 9, (7, 6)).astype(np.float32)
LATENT = RANDOM.normal(size=(7, 2)).astype(np.float32)
IMAGES = RANDOM.integers(0, 256, (7, 1, 2, 3), np.uint8)
IMAGE = {"kind": "image", "shape": [1, 2, 3], "minimum": 0.0, "maximum": 255.0}


def answer(package: ModelPackage, graph: str, **inputs: Array) -> dict[str, Array]:
    content = package.read(package.manifest.graphs.by_name[graph])
    return run_in_batches(open_session(graph, content), inputs, 3)


def near(found: Array, expected: Array, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def refused(bring: Bring, tmp_path: Path, **changes: object) -> str:
    with pytest.raises(TrainingError) as raised:
        bring(**changes)
    assert "\n" not in str(raised.value)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".onnx"]
    return str(raised.value)


def test_the_graphs_answer_under_our_names(bring: Bring) -> None:
    made = ModelPackage.open(bring(version=3).directory)
    manifest = made.manifest
    assert (manifest.name, manifest.version, manifest.likelihood.family) == ("linear", 3, "unknown")
    found = answer(made, "encoder", data=DATA)
    near(found["mean"], DATA @ W)
    near(found["log_variance"], DATA @ V)
    found = answer(made, "decoder", latent=LATENT)
    near(found["expectation"], LATENT @ U)
    near(found["data"], np.clip(LATENT @ U, -10, 10))
    assert manifest.parity is not None
    assert {check.output for check in manifest.parity.checks} == {
        f"{graph}.{output.name}" for graph, component in manifest.graphs.by_name.items() for output in component.outputs
    }


@pytest.mark.parametrize("kind", ["float16", "double"])
def test_graphs_of_other_types_are_given_casts(bring: Bring, kind: str) -> None:
    number = onnx.TensorProto.FLOAT16 if kind == "float16" else onnx.TensorProto.DOUBLE
    cast = f"c = Cast<to = {number}>(W) d = Cast<to = {number}>(V) e = Cast<to = {number}>(U)"
    own = encoder(
        f"{cast} mu = MatMul(x, c) logvar = MatMul(x, d)", f"{kind}[N, 6] x", f"{kind}[N, 2] mu, {kind}[N, 2] logvar"
    )
    other = decoder(f"{cast} y = MatMul(z, e)", f"{kind}[N, 2] z", f"{kind}[N, 6] y")
    made = bring(own, other, tolerance=0.01)
    near(answer(made, "encoder", data=DATA)["mean"], DATA @ W, 0.03)
    near(answer(made, "decoder", latent=LATENT)["expectation"], LATENT @ U, 0.03)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 1)])
def test_pictures_in_another_layout_and_range(bring: Bring, shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    there = "s = Constant <value = int64[2] {-1, 6}> () h = Reshape(x, s) mu = MatMul(h, W) logvar = MatMul(h, V)"
    own_shape = f"{channels}, {height}, {width}"
    back = f"h = MatMul(z, U) s = Sigmoid(h) n = Constant <value = int64[4] {{-1, {own_shape}}}> () y = Reshape(s, n)"
    made = bring(
        encoder(there, f"float[N, {channels}, H, {width}] x"),
        decoder(back, outputs=f"float[N, {own_shape}] y"),
        layout="NCHW",
        scaled_to=[-1, 1],
        **(IMAGE | {"shape": list(shape)}),
    )
    images = IMAGES.reshape(7, *shape)
    own = (images.transpose(0, 3, 1, 2).reshape(7, 6) / 127.5 - 1).astype(np.float32)
    near(answer(made, "encoder", data=images)["mean"], own @ W)
    found = answer(made, "decoder", latent=LATENT)
    expected = 127.5 * (1 / (1 + np.exp(-LATENT @ U)) + 1)
    near(found["expectation"], expected.reshape(7, channels, height, width).transpose(0, 2, 3, 1), 1e-3)
    assert found["data"].dtype == np.uint8
    assert float(np.abs(found["data"] - found["expectation"]).max()) <= 0.501


def test_flat_logits_become_parameters(bring: Bring) -> None:
    text = """likelihood (uint8[N, 1, 2, 3] data, float[N, 1, 2, 3] parameters) => (float[N] l) {
        z = ReduceSum<axes = [1, 2, 3], keepdims = 0>(parameters) l = Neg(z) }"""
    made = bring(likelihood=model(text, 11), layout="flat", scaled_to=[0, 1], decoder_outputs=["logits"], **IMAGE)
    own = (IMAGES.transpose(0, 3, 1, 2).reshape(7, 6) / 255).astype(np.float32)
    near(answer(made, "encoder", data=IMAGES)["mean"], own @ W)
    found = answer(made, "decoder", latent=LATENT)
    near(found["parameters"], (LATENT @ U).reshape(7, 3, 1, 2).transpose(0, 2, 3, 1))
    near(found["expectation"], 255 / (1 + np.exp(-found["parameters"])), 1e-3)


def test_an_encoder_of_whole_pictures(bring: Bring) -> None:
    nodes = "f = Cast<to = 1>(x) shape = Constant <value = int64[2] {-1, 6}> () h = Reshape(f, shape) mu = MatMul(h, W)"
    own = encoder(nodes, "uint8[N, 1, 2, 3] x", "float[N, 2] mu")
    made = bring(own, layout="NHWC", posterior="none", encoder_outputs=None, decoder=_as_picture(), **IMAGE)
    near(answer(made, "encoder", data=IMAGES)["mean"], IMAGES.reshape(7, 6) @ W, 1e-3)
    assert [output.name for output in made.manifest.graphs.encoder.outputs] == ["mean"]


def _as_picture() -> onnx.ModelProto:
    nodes = "h = MatMul(z, U) shape = Constant <value = int64[4] {-1, 1, 2, 3}> () y = Reshape(h, shape)"
    return decoder(nodes, outputs="float[N, 1, 2, 3] y")


def test_moments_in_one_tensor_and_outputs_that_nobody_needs(bring: Bring) -> None:
    nodes = "a = MatMul(x, W) b = MatMul(x, V) both = Concat<axis = 1>(a, b) x2 = Mul(x, x)"
    own = encoder(nodes, outputs="float[N, 4] both, float[N, 6] x2")
    made = bring(own, encoder_outputs=["moments", "ignored"])
    near(answer(made, "encoder", data=DATA)["log_variance"], DATA @ V)


def test_a_sample_that_is_ignored_is_not_drawn(bring: Bring) -> None:
    nodes = "mu = MatMul(x, W) logvar = MatMul(x, V) noise = RandomNormalLike(mu) z = Add(mu, noise)"
    own = encoder(nodes, outputs="float[N, 2] z, float[N, 2] mu, float[N, 2] logvar")
    made = bring(own, encoder_outputs=["ignored", "mean", "log_variance"])
    near(answer(made, "encoder", data=DATA)["mean"], DATA @ W)


def test_names_that_are_ours_need_no_telling_and_may_stand_elsewhere(bring: Bring) -> None:
    own = encoder(
        "data = Identity(x) latent = MatMul(data, V) mean = MatMul(data, W) log_variance = Identity(latent)",
        outputs="float[N, 2] latent, float[N, 2] log_variance, float[N, 2] mean",
    )
    other = decoder(
        "expectation = MatMul(latent, U) low = Constant <value = float {-10.0}> () "
        "high = Constant <value = float {10.0}> () data = Clip(expectation, low, high)",
        "float[N, 2] latent",
        "float[N, 6] expectation, float[N, 6] data",
    )
    made = bring(own, other, encoder_outputs=None)
    near(answer(made, "encoder", data=DATA)["mean"], DATA @ W)
    near(answer(made, "encoder", data=DATA)["log_variance"], DATA @ V)
    near(answer(made, "decoder", latent=LATENT)["data"], np.clip(LATENT @ U, -10, 10))


def test_an_input_that_is_an_output_too(bring: Bring) -> None:
    own = encoder("mu = Identity(x)", "float[N, 6] x", "float[N, 6] x, float[N, 6] mu")
    other = decoder("unused = Identity(z)", "float[N, 6] z", "float[N, 6] z")
    made = bring(own, other, latent_shape=6)
    near(answer(made, "encoder", data=DATA)["log_variance"], DATA)
    near(answer(made, "decoder", latent=DATA)["expectation"], DATA)


def test_the_oldest_opset(bring: Bring) -> None:
    made = bring(encoder(opset=11), decoder(opset=11))
    assert made.manifest.graphs.encoder.opset == 11


def test_the_domain_of_onnx_under_its_long_name(bring: Bring) -> None:
    text = """<ir_version: 8, opset_import: ["ai.onnx": 17]>
        decoder (float[N, 2] z) => (float[N, 6] y) <WEIGHTS> { y = ai.onnx.MatMul(z, U) }"""
    made = bring(decoder=model(text))
    assert made.manifest.graphs.decoder.opset == 17
    near(answer(made, "decoder", latent=LATENT)["expectation"], LATENT @ U)


def test_a_likelihood_of_its_own(bring: Bring) -> None:
    text = """likelihood (float[N, 6] parameters, double[N, 6] data) => (double[N] l) <int64[1] axis = {1}> {
        p = Cast<to = 11>(parameters) d = Sub(data, p) s = Mul(d, d)
        t = ReduceSum<keepdims = 0>(s, axis) l = Neg(t) }"""
    made = bring(likelihood=model(text))
    assert made.manifest.likelihood.family == "own"
    found = answer(made, "likelihood", data=DATA, parameters=DATA + 1)
    near(found["log_likelihood"], np.full(7, -6.0))


def test_the_metrics_tell_how_near_given_rows_come_back(bring: Bring, capsys: pytest.CaptureFixture[str]) -> None:
    made = bring(rows=DATA)
    error = float(((DATA @ W @ U - DATA) ** 2).sum(1)[np.arange(40) % 7].mean())
    assert made.manifest.metrics["squared_error"] == pytest.approx(error, rel=1e-3)
    assert "reconstructions are worse than the mean of the rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        (
            "axis = Constant <value = int64[1] {0}> () m = ReduceMean<axes = [0]>(x) h = Sub(x, m) "
            "mu = MatMul(h, W) logvar = MatMul(h, V)",
            "its mean changes by up to",
        ),
        (
            "shape = Constant <value = int64[2] {64, 6}> () h = Reshape(x, shape) "
            "mu = MatMul(h, W) logvar = MatMul(h, V)",
            "by the spec's shape, layout and latent_shape it gets [1, 6], and must take any number",
        ),
        (
            "shape = Constant <value = int64[2] {1, 6}> () h = Reshape(x, shape) "
            "mu = MatMul(h, W) logvar = MatMul(h, V)",
            "ONNX Runtime cannot run it on 64 rows",
        ),
        ("h = Log(x) mu = MatMul(h, W) logvar = MatMul(x, V)", "answers mean of NaN or infinity for"),
        ("h = Exp(x) mu = MatMul(x, W) logvar = MatMul(h, V)", "log_variance reaches"),
        (
            "mu = MatMul(x, W) logvar = Identity(x)",
            "answers log_variance of shape [64, 6] for 64 rows, must answer [64, 2] by the spec's latent_shape",
        ),
        ("mu = MatMul(x, W) logvar = ReduceSum(mu)", "answers log_variance of shape [1, 1] for 64 rows"),
    ],
)
def test_an_encoder_that_cannot_be_served(bring: Bring, tmp_path: Path, nodes: str, complaint: str) -> None:
    outputs = "float[N, 2] mu, float[N, D] logvar"
    message = refused(bring, tmp_path, encoder=encoder(nodes, outputs=outputs))
    assert message.startswith("e.onnx: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"encoder": encoder(inputs="float[N, 6] x, float[N, 2] noise")},
            "e.onnx: takes noise, x, must take one tensor",
        ),
        ({"encoder_outputs": None}, "e.onnx: answers 2 tensors (mu, logvar), and it is not clear which is what"),
        ({"encoder_outputs": ["moments"]}, "e.onnx: answers 2 tensors (mu, logvar), and encoder_outputs names 1"),
        ({"latent_shape": 3}, "e.onnx: answers mean of shape [64, 2] for 64 rows, must answer [64, 3] by"),
        (
            {"shape": 7},
            "e.onnx: ONNX Runtime cannot run it on 64 rows: Got invalid dimensions for input: x for the following "
            "indices index: 1 Got: 7 Expected: 6; by the spec's shape, layout and latent_shape it gets [64, 7]",
        ),
        (
            {"decoder": decoder("y = Identity(z)", outputs="float[N, 2] y")},
            "d.onnx: answers expectation of shape [64, 2]",
        ),
        ({"decoder_outputs": ["logits"]}, "minimum: must be 0, because the decoder answers logits"),
        ({"likelihood": encoder()}, "l.onnx: takes x, must take data and parameters"),
        ({"maximum": 1e30}, "rows: must be given: values drawn at random"),
        ({"rows": np.zeros((4, 5))}, "rows: are of shape [5], and the spec says [6]"),
    ],
)
def test_what_does_not_fit_the_spec(bring: Bring, tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    assert refused(bring, tmp_path, **changes).startswith(complaint)


def test_a_likelihood_that_answers_one_number_for_all(bring: Bring, tmp_path: Path) -> None:
    text = """likelihood (float[N, 6] data, float[N, 6] parameters) => (float[N] l) {
        d = Sub(data, parameters) l = ReduceSum<keepdims = 0>(d) }"""
    assert "l.onnx: answers log_likelihood of shape [] for 64 rows" in refused(bring, tmp_path, likelihood=model(text))


def test_a_place_that_is_taken(bring: Bring, tmp_path: Path) -> None:
    made = bring()
    with pytest.raises(PackageError, match="already exists"):
        bring(encoder=b"not even read")
    assert ModelPackage.open(made.directory).manifest == made.manifest


SOUND = {"e": encoder().SerializeToString(), "d": decoder().SerializeToString()}
MUTATION = st.tuples(st.integers(0, 10**6), st.integers(0, 6), st.binary(max_size=6))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.generate],
)
@given(which=st.sampled_from("ed"), mutations=st.lists(MUTATION, min_size=1, max_size=3))
def test_altered_bytes_are_packaged_or_refused(
    tmp_path_factory: pytest.TempPathFactory, which: str, mutations: list[tuple[int, int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("altered")
    content = SOUND[which]
    for position, removed, inserted in mutations:
        at = position % (len(content) + 1)
        content = content[:at] + inserted + content[at + removed :]
    paths = {name: save(folder, name, content if name == which else sound) for name, sound in SOUND.items()}
    try:
        made = package_files(
            folder / "model", encoder=paths["e"], decoder=paths["d"], spec=parse_spec(SPEC, "spec")
        ).package
    except (TrainingError, PackageError) as exc:
        assert "\n" not in str(exc)
        assert not (folder / "model").exists()
    else:
        ModelPackage.open(made.directory)
