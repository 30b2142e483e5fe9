from pathlib import Path

import numpy as np

from benchmarks.reproductions.pictures import digits, tiles, write_sets


def test_sets_are_pictures_of_256_levels_and_are_written_once(tmp_path: Path) -> None:
    grey, colour = write_sets(tmp_path, None, None)
    with np.load(grey) as archive:
        assert np.array_equal(archive["images"], digits())
        assert (archive["images"].shape, archive["images"].max()) == ((1797, 8, 8), 255)
    written = colour.stat().st_mtime_ns
    assert list(write_sets(tmp_path, None, None)) == [grey, colour]
    assert colour.stat().st_mtime_ns == written


def test_tiles_do_not_overlap() -> None:
    found = tiles(64)
    assert found.shape == (120, 64, 64, 3)
    assert found.dtype == np.uint8
    assert len(np.unique(found.reshape(120, -1), axis=0)) == 120
