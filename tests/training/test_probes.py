import io

import numpy as np
import torch

from training.data import Dataset
from training.graphs import modules_of
from training.networks.pair import Networks
from training.probes import ROWS, data_rows, latent_rows, probe_all, to_npz
from vae.manifest import DataSpec


def test_rows_are_real_random_and_extreme(dataset: Dataset) -> None:
    rows = data_rows(dataset.spec, dataset.test)
    assert (rows.shape, rows.dtype) == ((ROWS, 8, 8, 1), torch.uint8)
    assert torch.equal(rows[:40], dataset.test[:40])
    assert rows[40:56].float().std() > 3
    assert int(rows.max()) == 16
    assert rows[56:, 0, 0, 0].tolist() == [0, 16] * 4


def test_rows_of_a_table_are_not_rounded(dataset: Dataset) -> None:
    spec = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e30, maximum=1e30)
    rows = data_rows(spec, 3 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    assert (rows.shape, rows.dtype) == ((ROWS, 3), torch.float32)
    assert not torch.equal(rows, rows.round())
    assert 5 < float(rows.abs().max()) < 50


def test_latents_are_encodings_draws_and_far_away() -> None:
    rows = latent_rows(torch.full((ROWS, 5), 0.5))
    assert rows.shape == (ROWS, 5)
    assert bool((rows[:40] == 0.5).all())
    assert bool((rows[40:56].abs() < 6).all())
    assert bool((rows[56:].abs() == 4).all())


def test_every_tensor_of_every_graph_is_archived_in_the_same_bytes(networks: Networks, dataset: Dataset) -> None:
    probes = probe_all(modules_of(networks), dataset.spec, dataset.test)
    content = to_npz(probes)
    assert content == to_npz(probe_all(modules_of(networks), dataset.spec, dataset.test))
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        shapes = {name: (archive[name].dtype.name, archive[name].shape) for name in archive.files}
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
