"""Pairs that others made, packaged as a user would and served side by side: Encode, Decode and Sample."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tests.support.servers import RunningServer, start
from training.bring import cli
from training.export.graphs import quiet
from vaeserve import Client, export

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
MIXING = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
ROWS = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)


class Encoder(nn.Module):
    """Convolutions, with parts that training and evaluation treat differently."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
        self.mean, self.log_variance = nn.Linear(36, 3), nn.Linear(36, 3)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(images)
        return self.mean(hidden), self.log_variance(hidden)


class Networks(NamedTuple):
    encoder: nn.Module
    decoder: nn.Module


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    decoder = nn.Sequential(
        nn.Linear(3, 36), nn.Unflatten(1, (4, 3, 3)), nn.ReLU(), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
    )
    return Networks(Encoder().train(), decoder)


def write_spec(path: Path, **settings: object) -> str:
    path.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    return str(path)


@pytest.fixture(scope="module")
def server(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    packages, files = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("files")
    picture = {"kind": "image", "shape": [6, 6, 1], "latent_shape": 3, "layout": "NCHW", "scaled_to": [0, 1]}
    spec = {"name": "modules", "likelihood": "bernoulli", **picture}
    export(networks.encoder, networks.decoder, spec, packages / "modules")
    assert networks.encoder.training
    save_files(networks, files)
    settings = write_spec(files / "images.toml", name="files", encoder_outputs=["mean", "log_variance"], **picture)
    pair = ["--encoder", str(files / "encoder.onnx"), "--decoder", str(files / "decoder.onnx")]
    assert cli.package([*pair, "--spec", settings, "--out", str(packages / "files")]) == 0
    save_linear_pair(files)
    settings = write_spec(
        files / "table.toml",
        **{"name": "linear", "kind": "table", "shape": 4, "latent_shape": 3, "posterior": "none"},
        **{"minimum": -1e30, "maximum": 1e30},
    )
    pair = ["--encoder", str(files / "project.onnx"), "--decoder", str(files / "restore.onnx")]
    given = ["--rows", str(files / "rows.npy")]
    assert cli.package([*pair, "--spec", settings, *given, "--out", str(packages / "linear")]) == 0
    running = start(packages)
    yield running
    running.stop()


def save_files(networks: Networks, folder: Path) -> None:
    """Writes the networks as PyTorch does when told nothing, with the exporter of today and that of yesterday."""
    encoder, decoder = networks.encoder.eval(), networks.decoder.eval()
    with quiet():
        torch.onnx.export(
            encoder,
            (torch.zeros(2, 1, 6, 6),),
            folder / "encoder.onnx",
            dynamic_shapes=({0: "n"},),
            verbose=False,
            input_names=["images"],
            output_names=["mu", "logvar"],
        )
    assert (folder / "encoder.onnx.data").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            decoder, (torch.zeros(2, 3),), folder / "decoder.onnx", dynamo=False, dynamic_axes={"z": {0: "n"}},
            input_names=["z"],
        )  # fmt: skip
    networks.encoder.train()


def save_linear_pair(folder: Path) -> None:
    """Writes a linear projection as a converter of scikit-learn's models would, in doubles."""
    restore = MIXING.astype(np.float64)
    for name, weights in (("project", np.linalg.pinv(restore)), ("restore", restore)):
        rows, columns = weights.shape
        taken, given = (
            helper.make_tensor_value_info(side, TensorProto.DOUBLE, [None, size])
            for side, size in (("X", rows), ("variable", columns))
        )
        node = helper.make_node("MatMul", ["X", "weights"], ["variable"])
        graph = helper.make_graph([node], name, [taken], [given], [numpy_helper.from_array(weights, "weights")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    np.save(folder / "rows.npy", ROWS)


@pytest.mark.parametrize("model", ["modules", "files"])
def test_networks_of_pytorch_are_served(server: RunningServer, networks: Networks, model: str) -> None:
    images = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255
    networks.encoder.eval()
    with torch.inference_mode():
        mean, log_variance = networks.encoder(images)
        expectation = 255 * networks.decoder(torch.from_numpy(LATENT)).permute(0, 2, 3, 1).numpy()
    with Client(server.target) as client:
        moments = client.encode(IMAGES, output="moments", model=model)
        np.testing.assert_allclose(moments.latent, mean.numpy(), atol=1e-5)
        assert moments.log_variance is not None
        np.testing.assert_allclose(moments.log_variance, log_variance.numpy(), atol=1e-5)
        np.testing.assert_allclose(
            client.decode(LATENT, output="expectation", model=model).output, expectation, atol=1e-2
        )
        np.testing.assert_allclose(client.decode(LATENT, model=model).output, expectation, atol=0.51)
        drawn = client.sample(9, seed=5, include_latent=True, model=model)
        assert drawn.output.dtype == np.uint8
        assert drawn.latent is not None
        np.testing.assert_array_equal(client.decode(drawn.latent, model=model).output, drawn.output)
        np.testing.assert_array_equal(client.sample(4, seed=5, first_row=5, model=model).output, drawn.output[5:])


def test_a_linear_pair_is_served(server: RunningServer) -> None:
    with Client(server.target) as client:
        np.testing.assert_allclose(client.encode(ROWS, model="linear").latent, ROWS @ np.linalg.pinv(MIXING), atol=1e-4)
        np.testing.assert_allclose(client.decode(LATENT, model="linear").output, LATENT @ MIXING, atol=1e-4)
        drawn = client.sample(9, seed=5, include_latent=True, model="linear")
        assert drawn.latent is not None
        np.testing.assert_allclose(drawn.output, drawn.latent @ MIXING, atol=1e-4)
