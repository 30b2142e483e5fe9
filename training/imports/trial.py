"""Probes of an imported pair, at several sizes: as many as the time to compute them and to replay them allows."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from training.export.footprint import row_bytes
from training.export.graphs import ExportedGraph
from training.export.probes import Kinds, Probe, data_rows, graph_of, latent_rows, probe
from training.imports.pair import Pair
from training.imports.pictures import Pictures
from training.imports.sizes import sizes_in, trial_sizes
from training.run.progress import say
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import probe_suffix
from vaeserve.package.sizes import PictureSize

TRIAL_BYTES = 3 * 2**29  # of a row's tensors; the largest picture that is tried takes no more
MANY_PIXELS = 2**14  # a network of the size of Stable Diffusion's takes a second for such a picture
REAL_ROWS = 1  # that probes of every size have
_FIRST, _OTHER, _LARGE, _ONE = Kinds(3, 1, 2), Kinds(2, 1, 0), Kinds(1, 1, 0), Kinds(1, 0, 0)


class PairProbes(NamedTuple):
    """What a pair answers, at several sizes: by `graph` for the smallest, else by `graph@size`."""

    stored: dict[str, Probe]
    """Those that the package keeps."""
    passing: dict[str, Probe]
    """One large picture, which only proves the graphs."""
    size: PictureSize
    """The largest that was tried."""


def try_pair(pair: Pair, data: DataSpec, pictures: Pictures, graphs: Mapping[str, ExportedGraph]) -> PairProbes:
    """Returns what a pair answers for pictures of the smallest size, of one higher than wide, and of a large one.

    Raises:
        TrainingError: an answer is NaN or infinite.
        InvalidInput: a picture cannot be read.
        OutOfMemory: there is not enough memory for one row.
    """
    stored, passing = dict[str, Probe](), dict[str, Probe]()
    sizes = trial_sizes(sizes_in(data))
    for number, size in enumerate(sizes):
        kinds = _LARGE if size.pixels > MANY_PIXELS else _OTHER if number else _FIRST
        stored |= _probes_at(pair, data, pictures, size, kinds)
    large = _large_size(data, graphs)
    if large.pixels > sizes[-1].pixels:
        passing = _probes_at(pair, data, pictures, large, _ONE)
    return PairProbes(stored, passing, large if passing else sizes[-1])


def _probes_at(pair: Pair, data: DataSpec, pictures: Pictures, size: PictureSize, kinds: Kinds) -> dict[str, Probe]:
    say(f"answers  {size} pixels")
    at = data.at(size)
    rows = data_rows(at, pictures.at(size, kinds.real), kinds)
    encoded = probe(pair.references["encoder"], {"data": rows}, 1)
    mean = torch.from_numpy(encoded.outputs["mean"])
    decoded = probe(pair.references["decoder"], {"latent": latent_rows(mean, kinds)}, 1)
    suffix = probe_suffix(size, sizes_in(data))
    probes = {f"encoder{suffix}": encoded, f"decoder{suffix}": decoded}
    for key, answers in probes.items():
        for name, output in answers.outputs.items():
            if not np.isfinite(output).all():
                raise TrainingError(f"{graph_of(key)}: answers {name} of NaN or infinity for {size} pixels")
    return probes


def _large_size(data: DataSpec, graphs: Mapping[str, ExportedGraph]) -> PictureSize:
    """Returns the default size, or the half, quarter, ... of it that both graphs have memory for."""
    sizes = sizes_in(data)
    size = sizes.default
    while max(row_bytes(graph.content, size) for graph in graphs.values()) > TRIAL_BYTES:
        half = PictureSize(*(side // 2 // sizes.multiple * sizes.multiple for side in size))
        if not sizes.takes(half):
            return sizes.smallest
        size = half
    return size
