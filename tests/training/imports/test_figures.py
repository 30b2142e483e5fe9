import numpy as np
import pytest

from training.imports.figures import psnr


def test_decibels() -> None:
    grey = np.full((1, 4, 4, 3), 100, np.uint8)
    assert psnr(grey + np.float32(25.5), grey) == pytest.approx(20)
    assert psnr(grey, grey) == 150
