import json
from typing import TYPE_CHECKING, Any

import pytest

from vaeserve.errors import PackageError
from vaeserve.package.manifest import Manifest
from vaeserve.package.sizes import PictureSize

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Contents


@pytest.fixture
def document(contents: "Contents") -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(contents.manifest.to_json())
    return parsed


def parse(document: dict[str, Any]) -> Manifest:
    return Manifest.parse(json.dumps(document), "demo/manifest.json")


def mixture(name: str = "mixture", **changes: object) -> dict[str, Any]:
    """A prior of 5 normals a row over latents [2], with a density."""

    def tensor(name: str, *shape: int) -> dict[str, object]:
        return {"name": name, "dtype": "float32", "shape": ["batch", *shape]}

    file = {"sha256": "0" * 64, "opset": 18}
    noise, temperature, latent = tensor("noise", 5), tensor("temperature"), tensor("latent", 2)
    graph = {**file, "file": f"prior-{name}.onnx", "inputs": [noise, temperature], "outputs": [latent]}
    density = {**file, "file": f"density-{name}.onnx", "inputs": [latent], "outputs": [tensor("log_prior")]}
    return {"name": name, "noise_size": 5, "graph": graph, "density": density, **changes}


def test_round_trip(contents: "Contents") -> None:
    assert Manifest.parse(contents.manifest.to_json()) == contents.manifest
    assert contents.manifest.latent.value_count == 2
    assert contents.manifest.data.value_count == 64
    assert [file.file for file in contents.manifest.files] == ["encoder.onnx", "decoder.onnx", "probes.npz"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", b"\xff\xfe", '{"schema_version": "one"}'])
def test_malformed(text: str | bytes) -> None:
    with pytest.raises(PackageError, match=r"^demo/manifest\.json: "):
        Manifest.parse(text, "demo/manifest.json")


def test_unknown_schema_version_is_said_before_anything_else(document: dict[str, Any]) -> None:
    for changed in ({**document, "schema_version": 1}, {"schema_version": 1, "quite": "different"}):
        with pytest.raises(PackageError, match=r"schema_version 1 is unknown; this version reads 2$"):
            parse(changed)


def test_priors_have_graphs(document: dict[str, Any]) -> None:
    priors = [*document["priors"], mixture("gmm"), mixture("other", density=None)]
    manifest = parse({**document, "priors": priors, "default_prior": "gmm"})
    assert manifest.fingerprint == parse(document).fingerprint
    assert list(manifest.all_graphs) == ["encoder", "decoder", "prior.gmm", "density.gmm", "prior.other"]
    assert list(manifest.served_graphs) == ["encoder", "decoder", "prior.gmm", "prior.other"]
    assert list(manifest.priors[1].graphs) == ["prior.gmm", "density.gmm"]
    assert [file.file for file in manifest.files[2:5]] == ["prior-gmm.onnx", "density-gmm.onnx", "prior-other.onnx"]
    assert Manifest.parse(manifest.to_json()) == manifest


def test_a_pair_in_half_precision_comes_with_the_same_pair_in_float32(document: dict[str, Any]) -> None:
    pair = {
        name: {**document["graphs"][name], "file": f"{name}-float32.onnx", "sha256": "0" * 64}
        for name in ("encoder", "decoder")
    }
    manifest = parse({**document, "precision": "fp16", "float32": pair})
    assert [file.file for file in manifest.files if "float32" in file.file] == [it["file"] for it in pair.values()]
    assert list(manifest.served_graphs) == ["encoder", "decoder"]
    assert Manifest.parse(manifest.to_json()) == manifest
    for changes in ({"precision": "fp16"}, {"float32": pair}):
        with pytest.raises(PackageError, match="float32: must be there if the precision is fp16, and only then"):
            parse({**document, **changes})
    other = {**pair, "encoder": {**pair["encoder"], "outputs": pair["encoder"]["outputs"][:1]}}
    with pytest.raises(PackageError, match="float32 encoder: log_variance must be float32"):
        parse({**document, "precision": "fp16", "float32": other})


def test_assets_are_files_of_the_package(document: dict[str, Any]) -> None:
    assets = [{"file": name, "sha256": "0" * 64} for name in ("samples.png", "evaluation.json")]
    assert [file.file for file in parse({**document, "assets": assets}).files[-2:]] == [
        "samples.png",
        "evaluation.json",
    ]
    for name in ("encoder.onnx", "samples.png", "manifest.json"):
        with pytest.raises(PackageError, match=rf"lists a file twice, or manifest\.json itself, among .*{name}"):
            parse({**document, "assets": [*assets, {"file": name, "sha256": "0" * 64}]})


def test_unknown_keys(document: dict[str, Any]) -> None:
    with pytest.raises(PackageError, match="compression"):
        parse({**document, "compression": "zstd"})
    document["graphs"]["encoder"]["quantised"] = True
    with pytest.raises(PackageError, match=r"graphs\.encoder\.quantised"):
        parse(document)


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/passwd", "a/b.onnx", "a\\b", "", ".hidden", "..", "x\n"])
def test_file_names_stay_in_the_package(document: dict[str, Any], name: str) -> None:
    document["graphs"]["encoder"]["file"] = name
    with pytest.raises(PackageError, match=r"graphs\.encoder\.file"):
        parse(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 0}, "version"),
        ({"name": "../digits"}, "name"),
        ({"latent_shape": []}, "latent_shape"),
        ({"latent_shape": [3]}, r"encoder: mean must be float32 \[batch, 3\]"),
        ({"default_prior": "mixture"}, "default_prior 'mixture' is not among the priors"),
        ({"priors": []}, "default_prior 'standard' is not among the priors"),
        ({"priors": [{"name": "standard", "noise_size": 3}]}, "prior 'standard' takes as many normals as a latent has"),
        ({"priors": [{"name": "standard"}]}, "prior 'standard': noise_size must be there, except where sizes are free"),
        ({"latent_shape": ["height/8"]}, "latent_shape: must have free axes where the data has, and nowhere else"),
        ({"scaling": {"shift": [0, 0, 0], "scale": [1], "applied": True}}, "scaling: must hold 1 or 2 numbers"),
        ({"scaling": {"shift": [0], "scale": [0], "applied": True}}, r"scaling\.scale\.0"),
        ({"fingerprint": "0" * 64}, "fingerprint does not match"),
        ({"fingerprint": "short"}, "fingerprint"),
        ({"metrics": {"elbo": float("nan")}}, "metrics"),
    ],
)
def test_manifests_of_no_possible_package(document: dict[str, Any], change: dict[str, Any], said: str) -> None:
    with pytest.raises(PackageError, match=said):
        parse({**document, **change})


def _of_graph(key: str, **changes: object) -> dict[str, Any]:
    sound = mixture()
    return {**sound, key: {**sound[key], **changes}}


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (mixture(graph=None), "prior 'mixture' needs a graph; 'standard' alone has none"),
        (mixture("standard"), "lists a name twice"),
        (mixture(noise_size=4), r"prior\.mixture: noise must be float32 \[batch, 4\]"),
        (mixture(name="../gmm"), r"priors\.1\.name"),
        (_of_graph("graph", inputs=mixture()["graph"]["inputs"][:1]), r"temperature must be float32 \[batch\]"),
        (_of_graph("graph", outputs=[]), r"prior\.mixture: latent must be float32 \[batch, 2\]"),
        (_of_graph("density", inputs=[]), r"density\.mixture: latent must be float32 \[batch, 2\]"),
        (_of_graph("density", outputs=[]), r"density\.mixture: log_prior must be float32 \[batch\]"),
        (_of_graph("density", file="prior-mixture.onnx"), "lists a file twice"),
    ],
)
def test_priors_of_no_possible_package(document: dict[str, Any], prior: dict[str, Any], said: str) -> None:
    with pytest.raises(PackageError, match=said):
        parse({**document, "priors": [*document["priors"], prior]})


@pytest.fixture
def free(document: dict[str, Any]) -> dict[str, Any]:
    """A package whose pictures have any size of a range, and no prior."""
    document["data"] |= {
        "shape": ["height", "width", 1],
        "sizes": {"multiple": 8, "minimum": 16, "maximum": 64, "default": [32, 64]},
    }
    axes = {"data": ["height", "width", 1], "expectation": ["height", "width", 1]}
    for graph in document["graphs"].values():
        for tensor in (*graph["inputs"], *graph["outputs"]):
            tensor["shape"] = ["batch", *axes.get(tensor["name"], [2, "height/8", "width/8"])]
    return document | {"latent_shape": [2, "height/8", "width/8"], "priors": [], "default_prior": ""}


def test_pictures_may_have_many_sizes(free: dict[str, Any]) -> None:
    manifest = parse(free)
    assert Manifest.parse(manifest.to_json()) == manifest
    assert (manifest.latent_factor, manifest.priors, manifest.default_prior) == (8, (), "")
    assert manifest.data.at(PictureSize(16, 24)).shape == (16, 24, 1)
    assert manifest.latent.at(PictureSize(16, 24)).shape == (2, 2, 3)
    assert json.loads(manifest.to_json())["data"]["shape"] == ["height", "width", 1]
    document = free | {"priors": [{"name": "standard"}], "default_prior": "standard"}
    assert parse(document).priors[0].noise_size is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"latent_shape": [2, 4, 4]}, "latent_shape: must have free axes where the data has, and nowhere else"),
        ({"latent_shape": [2, "width/8", "height/8"]}, "latent_shape: must have one axis for the height and one for"),
        ({"latent_shape": [2, "height/8", "width/4"]}, "latent_shape: must have one axis for the height and one for"),
        ({"latent_shape": [2, "height/16", "width/16"]}, r"data\.sizes\.multiple: must be a multiple of the latent's"),
        ({"latent_shape": [2, "depth/8", "width/8"]}, r"latent_shape\.1"),
        ({"priors": [{"name": "standard", "noise_size": 4}]}, "prior 'standard': noise_size must be there, except"),
    ],
)
def test_many_sizes_of_no_possible_package(free: dict[str, Any], change: dict[str, Any], said: str) -> None:
    if "priors" in change:
        change |= {"default_prior": "standard"}
    with pytest.raises(PackageError, match=said):
        parse({**free, **change})


def test_a_graph_of_many_sizes_has_free_axes(free: dict[str, Any]) -> None:
    free["graphs"]["decoder"]["outputs"][0]["shape"] = ["batch", 8, 8, 1]
    with pytest.raises(PackageError, match=r"decoder: data must be uint8 \[batch, height, width, 1\]"):
        parse(free)


def test_a_model_without_a_posterior_needs_no_log_variance(document: dict[str, Any]) -> None:
    del document["graphs"]["encoder"]["outputs"][1]
    with pytest.raises(PackageError, match="encoder: log_variance must be"):
        parse(document)
    assert parse({**document, "posterior": "none"}).posterior == "none"


def test_a_graph_lists_nothing_twice_and_takes_nothing_else(document: dict[str, Any]) -> None:
    inputs = document["graphs"]["encoder"]["inputs"]
    for more in (inputs[0], {**inputs[0], "name": "mask"}):
        document["graphs"]["encoder"]["inputs"] = [inputs[0], more]
        with pytest.raises(PackageError, match="encoder: must list data alone, and nothing twice"):
            parse(document)


def test_a_likelihood_takes_what_the_decoder_answers(document: dict[str, Any]) -> None:
    data, wide = {"name": "data", "dtype": "uint8", "shape": ["batch", 8, 8, 1]}, ["batch", 8, 8, 2]
    parameters, score = ({"name": name, "dtype": "float32"} for name in ("parameters", "log_likelihood"))
    likelihood = {
        "file": "likelihood.onnx",
        "sha256": "0" * 64,
        "opset": 18,
        "inputs": [data, {**parameters, "shape": wide}],
        "outputs": [{**score, "shape": ["batch"]}],
    }
    document["graphs"]["likelihood"] = likelihood
    with pytest.raises(PackageError, match="decoder: must answer the parameters that the likelihood takes"):
        parse(document)
    document["graphs"]["decoder"]["outputs"].append({**parameters, "shape": ["batch", 3]})
    with pytest.raises(PackageError, match=r"likelihood: parameters must be float32 \[batch, 3\]"):
        parse(document)
    document["graphs"]["decoder"]["outputs"][-1]["shape"] = wide
    assert list(parse(document).all_graphs) == ["encoder", "decoder", "likelihood"]
    with pytest.raises(PackageError, match='likelihood: there is a graph, so the family cannot be "none"'):
        parse({**document, "likelihood": {"family": "none"}})
    likelihood["outputs"] = []
    with pytest.raises(PackageError, match=r"likelihood: log_likelihood must be float32 \[batch\]"):
        parse(document)


@pytest.mark.parametrize("version", [0, -1, 2**31, 10**30])
def test_versions_fit_the_wire(document: dict[str, Any], version: int) -> None:
    with pytest.raises(PackageError, match="version"):
        parse({**document, "version": version})


def test_codes_have_levels_for_each_value_of_a_latent(document: dict[str, Any]) -> None:
    outputs = document["graphs"]["encoder"]["outputs"]
    mean = next(tensor for tensor in outputs if tensor["name"] == "mean")
    encoder = {**document["graphs"]["encoder"], "outputs": [mean, {**mean, "name": "codes", "dtype": "uint16"}]}
    graphs = {**document["graphs"], "encoder": encoder}
    coded = {**document, "posterior": "none", "graphs": graphs, "codes": {"levels": [8, 5]}}
    manifest = parse(coded)
    assert manifest.codes is not None
    assert manifest.codes.levels == (8, 5)
    assert Manifest.parse(manifest.to_json()) == manifest
    for changes, message in (
        ({"codes": {"levels": [8]}}, "codes.levels: must hold 2 numbers, one for each value"),
        ({"codes": {"levels": [8, 1]}}, "levels"),
        ({"graphs": document["graphs"]}, r"encoder: codes must be uint16 \[batch, 2\]"),
        ({"posterior": "gaussian"}, "codes: are for latents of one axis and one size, without a posterior"),
    ):
        with pytest.raises(PackageError, match=message):
            parse({**coded, **changes})
