import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.support.linear_pair import W, encoder, model, save
from training.bring.files import read_graph, runner_of
from vaeserve.errors import TrainingError

ROWS = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32))


def refusal(path: Path) -> str:
    with pytest.raises(TrainingError) as raised:
        runner_of(path.name, read_graph(path))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_graph_as_it_came(tmp_path: Path) -> None:
    mean, _ = runner_of("e.onnx", read_graph(save(tmp_path, "e", encoder())))(ROWS)
    np.testing.assert_allclose(mean.numpy(), ROWS.numpy() @ W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x08\x08" * 5, b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_onnx_file(tmp_path: Path, content: bytes) -> None:
    assert refusal(save(tmp_path, "e", content)).startswith(f"{tmp_path / 'e.onnx'}: is not an ONNX file")


def test_a_file_cut_short(tmp_path: Path) -> None:
    content = encoder().SerializeToString()
    assert "e.onnx: is not an ONNX file, or was cut short" in refusal(save(tmp_path, "e", content[:-9]))


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "e.onnx") == f"{tmp_path / 'e.onnx'}: cannot be read: No such file or directory"
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refusal(tmp_path / "pipe.onnx") == f"{tmp_path / 'pipe.onnx'}: is not a file"


def test_a_file_larger_than_a_message_may_be(tmp_path: Path) -> None:
    path = tmp_path / "e.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse
    assert "is larger than 2 GB" in refusal(path)


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        ("mu = MatMul(x, W) logvar = NoSuchOperator(x, V)", "No Op registered for NoSuchOperator"),
        ("mu = MatMul(x, nowhere) logvar = MatMul(x, V)", "Nodes in a graph must be topologically sorted"),
    ],
)
def test_what_no_server_could_run(tmp_path: Path, nodes: str, complaint: str) -> None:
    message = refusal(save(tmp_path, "e", encoder(nodes)))
    assert message.startswith("e.onnx: ")
    assert complaint in message


def test_operators_of_another_domain(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "com.example": 1]>
        encoder (float[N, 6] x) => (float[N, 2] mu) { mu = com.example.Secret(x) }"""
    assert "e.onnx: has operators that ONNX Runtime lacks: com.example.Secret" in refusal(
        save(tmp_path, "e", model(text))
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "complaint"),
    [
        ("float[1, 6] x", "float[1, 2] mu, float[1, 2] logvar", "input x only takes batches of 1 rows: export it with"),
        ("int64[N, 6] x", "int64[N, 2] mu, float[N, 2] logvar", "input x is int64: must be a float32, float16,"),
        ("seq(float[N, 6]) x", "float[N, 2] mu, float[N, 2] logvar", "input x is undefined: must be a float32,"),
    ],
)
def test_inputs_that_cannot_be_given(tmp_path: Path, inputs: str, outputs: str, complaint: str) -> None:
    graph = encoder("mu = Identity(x) logvar = Identity(x)", inputs, outputs)
    assert complaint in refusal(save(tmp_path, "e", graph))


def test_opsets_too_old_and_too_new(tmp_path: Path) -> None:
    assert "e.onnx: opset 9 is too old, the minimum is 11" in refusal(save(tmp_path, "old", encoder(opset=9))).replace(
        "old.onnx", "e.onnx"
    )
    assert refusal(save(tmp_path, "new", encoder(opset=99))).startswith("new.onnx: ")


def test_constants_among_the_inputs_are_none(tmp_path: Path) -> None:
    graph = encoder()
    for tensor in graph.graph.initializer:
        graph.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert [value.name for value in read_graph(save(tmp_path, "e", graph)).graph.input] == ["x"]


def test_functions_are_put_in_place(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "mine": 1]>
        encoder (float[N, 6] x) => (float[N, 6] mu) { mu = mine.twice(x) }
        <domain: "mine", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }"""
    (answer,) = runner_of("e.onnx", read_graph(save(tmp_path, "e", model(text))))(ROWS)
    np.testing.assert_array_equal(answer.numpy(), 2 * ROWS.numpy())


def external(graph: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """Returns a graph that looks for its weights W in a file."""
    weights = next(tensor for tensor in graph.graph.initializer if tensor.name == "W")
    del weights.float_data[:]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return graph


def test_weights_beside_the_graph_are_read(tmp_path: Path) -> None:
    (tmp_path / "e.onnx.data").write_bytes(W.tobytes())
    graph = read_graph(save(tmp_path, "e", external(encoder(), "e.onnx.data")))
    weights = next(tensor for tensor in graph.graph.initializer if tensor.name == "W")
    np.testing.assert_array_equal(numpy_helper.to_array(weights), W)


def test_weights_that_are_not_beside_the_graph(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(W.tobytes())
    (folder / "link").symlink_to(tmp_path / "outside")
    for location in ("missing", "../outside", str(tmp_path / "outside"), "link"):
        message = refusal(save(folder, "e", external(encoder(), location)))
        assert "e.onnx: the files of its weights cannot be read: " in message
        assert Path(location).name in message


def test_weights_of_another_size(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(W.tobytes()[:-4])
    file = save(tmp_path, "e", external(encoder(), "w"))
    with pytest.raises(TrainingError, match=r"^e\.onnx: "):
        runner_of("e.onnx", read_graph(file))


def test_whole_numbers_are_given_to_inputs_of_uint8_alone(tmp_path: Path) -> None:
    run = runner_of(
        "e.onnx", read_graph(save(tmp_path, "e", encoder("mu = Identity(x)", "uint8[N, 6] x", "uint8[N, 6] mu")))
    )
    assert torch.equal(run(torch.arange(12.0).reshape(2, 6))[0], torch.arange(12, dtype=torch.uint8).reshape(2, 6))
    with pytest.raises(TrainingError, match="input x is uint8, and the values that it gets do not fit into that"):
        run(ROWS)
