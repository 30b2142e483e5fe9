"""What a manifest says of files, checked by itself: tensors, graphs, priors and the pair's fingerprint."""

import pytest

from vaeserve.package.contents import Graph, Graphs, Prior, TensorSpec, fingerprint_of
from vaeserve.package.signatures import Signature

SIGNATURE = Signature({"latent": ("float32", (2,))}, {"data": ("uint8", (8, 8, 1))})
LATENT = TensorSpec(name="latent", dtype="float32", shape=("batch", 2))
DATA = TensorSpec(name="data", dtype="uint8", shape=("batch", 8, 8, 1))


def graph(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (), file: str = "graph.onnx") -> Graph:
    return Graph(file=file, sha256="0" * 64, opset=18, inputs=inputs, outputs=outputs)


@pytest.mark.parametrize("shape", [[], [4, 3], [4, "batch", 3], ["batch", "batch", 3], ["batch", 0], ["rows", 3]])
def test_the_first_axis_alone_is_the_batch(shape: list[int | str]) -> None:
    latent = {"name": "latent", "dtype": "float32"}
    assert TensorSpec.model_validate({**latent, "shape": ["batch", 4, 3]}).row_axes == (4, 3)
    assert TensorSpec.model_validate({**latent, "shape": ["batch"]}).row_axes == ()
    with pytest.raises(ValueError, match="shape"):
        TensorSpec.model_validate({**latent, "shape": shape})


def test_a_graph_may_answer_more_than_its_signature_but_take_nothing_more() -> None:
    more = LATENT.model_copy(update={"name": "more"})
    graph(LATENT, outputs=(DATA, more)).check("decoder", SIGNATURE)
    with pytest.raises(ValueError, match=r"^decoder: must list latent alone, and nothing twice$"):
        graph(LATENT, more, outputs=(DATA,)).check("decoder", SIGNATURE)
    with pytest.raises(ValueError, match=r"^decoder: must list data, and nothing twice$"):
        graph(LATENT, outputs=(DATA, DATA)).check("decoder", SIGNATURE)


@pytest.mark.parametrize("change", [{"dtype": "float32"}, {"shape": ("batch", 8, 8)}, {"name": "rows"}])
def test_a_tensor_has_the_type_and_shape_of_its_signature(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^decoder: data must be uint8 \[batch, 8, 8, 1\]$"):
        graph(LATENT, outputs=(DATA.model_copy(update=change),)).check("decoder", SIGNATURE)


def test_graphs_are_listed_by_the_names_of_their_probes() -> None:
    pair = Graphs(encoder=graph(DATA), decoder=graph(LATENT))
    assert list(pair.by_name) == ["encoder", "decoder"]
    assert list(pair.model_copy(update={"likelihood": graph(DATA)}).by_name) == ["encoder", "decoder", "likelihood"]
    assert Prior(name="standard", noise_size=2).graphs == {}
    assert list(Prior(name="gmm", noise_size=3, graph=graph(), density=graph()).graphs) == ["prior.gmm", "density.gmm"]


def test_fingerprint_is_of_the_pair_in_order() -> None:
    assert fingerprint_of("a" * 64, "b" * 64) != fingerprint_of("b" * 64, "a" * 64)
    assert fingerprint_of("", "") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
