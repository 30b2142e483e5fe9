"""Which probes a package holds, by graph and by the size of their pictures."""

from pathlib import Path

import numpy as np
import pytest

from serving.models.probe_sets import probe_sets
from tests.support.make_coded_package import make
from tests.support.make_free_package import PROBE_SIZES
from vaeserve.errors import PackageError
from vaeserve.package.contents import Codes
from vaeserve.package.directory import ModelPackage


def test_rows_of_one_shape_have_one_set(tiny: Path) -> None:
    package = ModelPackage.open(tiny)
    sets = probe_sets(package.manifest, package.read_probes())
    assert {name: [one.size for one in listed] for name, listed in sets.items()} == {
        "encoder": [None],
        "decoder": [None],
        "likelihood": [None],
    }
    assert sets["encoder"][0].rows == 32


def test_pictures_of_many_sizes_have_a_set_for_each(free: Path) -> None:
    package = ModelPackage.open(free)
    sets = probe_sets(package.manifest, package.read_probes())
    assert [one.size for one in sets["decoder"]] == [*PROBE_SIZES]
    assert sets["decoder"][1].inputs["latent"].shape == (8, 4, 3, 4)
    assert sets["decoder"][1].outputs["data"].shape == (8, 24, 32, 3)


@pytest.mark.parametrize(
    ("removed", "added", "said"),
    [
        ("encoder.data", "", r"holds no encoder\.data of uint8 \['batch', 16, 16, 3\]"),
        ("decoder@24x32.data", "", r"holds no decoder@24x32\.data of uint8 \['batch', 24, 32, 3\]"),
        ("", "decoder@24x32.latent", "holds no probes of the decoder@24x32, or not as many rows of each tensor"),
        ("", "encoder@40x40.data", r"holds no encoder@40x40\.data of uint8 \['batch', 40, 40, 3\]"),
    ],
)
def test_probes_that_do_not_belong_together(free: Path, removed: str, added: str, said: str) -> None:
    package = ModelPackage.open(free)
    probes = package.read_probes()
    probes.pop(removed, None)
    if added:
        probes[added] = np.zeros((3, 8), np.float32)
    with pytest.raises(PackageError, match=said):
        probe_sets(package.manifest, probes)


def test_codes_stand_for_latents_by_the_levels_of_the_manifest(tmp_path: Path) -> None:
    package = make(tmp_path / "coded")
    manifest, probes = package.manifest, package.read_probes()
    assert "codes" in probe_sets(manifest, probes)["encoder"][0].outputs
    said = r"^probes\.npz: the encoder's codes do not stand for its latents by the manifest's codes\.levels$"
    for levels in ((5, 7, 3), (5, 9, 5), (5, 65536, 3), (3, 9, 3)):
        other = manifest.model_copy(update={"codes": Codes(levels=levels)})
        with pytest.raises(PackageError, match=said):
            probe_sets(other, probes)
