"""ProbeSet: inputs of one graph and the trainer's answers, for rows of one shape, as a package's probes hold them.

An array is named `graph.tensor`, or `graph@HEIGHTxWIDTH.tensor` for pictures of another size than the smallest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vaeserve.errors import PackageError
from vaeserve.package.contents import BATCH, TensorSpec
from vaeserve.package.manifest import Manifest
from vaeserve.package.probes import parse_probe_name
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize, axis_length
from vaeserve.rows.codes import latents_of

_OF_LEVEL = 1e-6  # of 32768 levels on either side of 0, neighbours are 3e-5 apart


class ProbeSet(NamedTuple):
    """Rows of one shape."""

    size: PictureSize | None
    """Of their pictures; None where it is not free."""
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    """The trainer's."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.inputs.values())))


def probe_sets(manifest: Manifest, probes: Mapping[str, Array]) -> dict[str, list[ProbeSet]]:
    """Returns the probes of every graph that a server runs; those of the smallest pictures come first.

    Raises:
        PackageError: a graph has no probes, or one of its tensors has none of its type and shape.
    """
    return {name: [*_sets_of(name, manifest, probes)] for name in manifest.served_graphs}


def _sets_of(name: str, manifest: Manifest, probes: Mapping[str, Array]) -> Iterator[ProbeSet]:
    graph, sizes = manifest.served_graphs[name], manifest.data.sizes
    groups: dict[str, PictureSize | None] = {name: None if sizes is None else sizes.smallest}
    if sizes is not None:
        for key in probes:
            group = key.rpartition(".")[0]
            graph_name, size = parse_probe_name(group)
            if graph_name == name and size is not None:
                groups[group] = size
    for group, size in groups.items():
        own = [probe for key, probe in probes.items() if key.rpartition(".")[0] == group]
        rows = {len(probe) if probe.ndim else 0 for probe in own}
        if len(rows) != 1 or rows == {0}:
            file = manifest.probes.file
            raise PackageError(f"{file}: holds no probes of the {group}, or not as many rows of each tensor")
        inputs, outputs = (_tensors(group, specs, size, manifest, probes) for specs in (graph.inputs, graph.outputs))
        if manifest.codes is not None and name == "encoder":
            _check_codes(outputs, manifest.codes.levels, manifest.probes.file)
        yield ProbeSet(size, inputs, outputs)


def _check_codes(outputs: Mapping[str, Array], levels: Sequence[int], file: str) -> None:
    """Makes sure that the manifest's levels are those of the encoder, because codes would decode to other rows."""
    codes, mean = outputs["codes"], outputs["mean"]
    if (codes >= np.array(levels)).any() or not np.allclose(latents_of(codes, levels), mean, rtol=0, atol=_OF_LEVEL):
        raise PackageError(f"{file}: the encoder's codes do not stand for its latents by the manifest's codes.levels")


def _tensors(
    group: str, specs: Sequence[TensorSpec], size: PictureSize | None, manifest: Manifest, probes: Mapping[str, Array]
) -> dict[str, Array]:
    """Returns the probes of a graph's inputs or outputs, each of its tensor's type and shape."""
    tensors = {}
    for spec in specs:
        shape = spec.row_axes if size is None else tuple(axis_length(axis, size) for axis in spec.row_axes)
        probe = probes.get(f"{group}.{spec.name}")
        if probe is None or probe.dtype.name != spec.dtype or probe.shape[1:] != shape:
            expected = [BATCH, *shape]
            raise PackageError(f"{manifest.probes.file}: holds no {group}.{spec.name} of {spec.dtype} {expected}")
        tensors[spec.name] = probe
    return tensors
