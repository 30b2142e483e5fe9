import io

import numpy as np
import torch

from training.data import Dataset
from training.export.probes import (
    ROWS,
    GraphModule,
    Kinds,
    data_rows,
    kinds_of,
    latent_rows,
    probe,
    probe_all,
    rows_at_once,
    to_npz,
)
from training.networks.pair import Networks
from training.run.publish import modules_of
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import parse_probes

ALL = Kinds(real=40, random=16, extreme=8)


def test_rows_are_real_random_and_extreme(dataset: Dataset) -> None:
    rows = data_rows(dataset.spec, dataset.test, ALL)
    assert (rows.shape, rows.dtype) == ((ROWS, 8, 8, 1), torch.uint8)
    assert torch.equal(rows[:40], dataset.test[:40])
    assert rows[40:56].float().std() > 3
    assert int(rows.max()) == 16
    assert rows[56:, 0, 0, 0].tolist() == [0, 16] * 4


def test_rows_of_a_table_are_not_rounded(dataset: Dataset) -> None:
    spec = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e30, maximum=1e30)
    rows = data_rows(spec, 3 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), ALL)
    assert (rows.shape, rows.dtype) == ((ROWS, 3), torch.float32)
    assert not torch.equal(rows, rows.round())
    assert 5 < float(rows.abs().max()) < 50


def test_latents_are_encodings_draws_and_far_away() -> None:
    rows = latent_rows(torch.full((ROWS, 5), 0.5), ALL)
    assert rows.shape == (ROWS, 5)
    assert bool((rows[:40] == 0.5).all())
    assert bool((rows[40:56].abs() < 6).all())
    assert bool((rows[56:].abs() == 4).all())


def test_every_tensor_of_every_graph_is_archived_in_the_same_bytes(networks: Networks, dataset: Dataset) -> None:
    probes = probe_all(modules_of(networks), dataset.spec, dataset.test)
    content = to_npz(probes)
    assert content == to_npz(probe_all(modules_of(networks), dataset.spec, dataset.test))
    found = parse_probes(content)
    shapes = {name: (array.dtype.name, array.shape) for name, array in found.items()}
    image = (ROWS, 8, 8, 1)
    assert shapes == {
        "encoder.data": ("uint8", image),
        "encoder.mean": ("float32", (ROWS, 4)),
        "encoder.log_variance": ("float32", (ROWS, 4)),
        "decoder.latent": ("float32", (ROWS, 4)),
        "decoder.data": ("uint8", image),
        "decoder.expectation": ("float32", image),
        "decoder.parameters": ("float32", image),
        "likelihood.data": ("uint8", image),
        "likelihood.parameters": ("float32", image),
        "likelihood.log_likelihood": ("float32", (ROWS,)),
    }
    for graph, made in probes.items():
        for name, array in {**made.inputs, **made.outputs}.items():
            np.testing.assert_array_equal(found[f"{graph}.{name}"], array)


def test_no_array_is_archived_twice(networks: Networks, dataset: Dataset) -> None:
    with np.load(io.BytesIO(to_npz(probe_all(modules_of(networks), dataset.spec, dataset.test)))) as archive:
        references = {name: str(archive[name]) for name in archive.files if archive[name].dtype.kind == "U"}
        arrays = [archive[name].tobytes() for name in archive.files if name not in references]
    assert references == {"likelihood.data": "encoder.data", "likelihood.parameters": "decoder.parameters"}
    assert len(set(arrays)) == len(arrays)


def test_wide_rows_have_fewer_probes_of_every_kind() -> None:
    def of(*shape: int) -> Kinds:
        return kinds_of(DataSpec(kind="image", shape=shape, dtype="uint8", minimum=0, maximum=255))

    assert of(128, 128, 3) == ALL
    assert of(256, 256, 3) == Kinds(real=11, random=4, extreme=2)
    assert of(4096, 4096, 3) == Kinds(real=4, random=2, extreme=2)


def test_a_module_is_given_fewer_wide_rows_at_once() -> None:
    given: list[int] = []

    class Sees(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            given.append(len(rows))
            return rows.float()

    spec = DataSpec(kind="image", shape=(64, 64, 3), dtype="uint8", minimum=0, maximum=255)
    rows = torch.randint(0, 255, (64, 64, 64, 3), dtype=torch.uint8)
    answers = probe(GraphModule(Sees(), ("data",), ("mean",)), {"data": rows}, rows_at_once(spec)).outputs
    assert given == [10, 10, 10, 10, 10, 10, 4]
    np.testing.assert_array_equal(answers["mean"], rows.numpy())
