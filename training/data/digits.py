"""The handwritten digits that scikit-learn carries."""

import numpy as np
from sklearn.datasets import load_digits

from vaeserve.sources.content import Content, images_spec


def read_digits() -> Content:
    """Returns the 1797 handwritten digits that scikit-learn carries.

    A pixel counts the dark dots in a 4 x 4 field of the scan (Alpaydin and Kaynak, "Optical recognition of handwritten
    digits", UCI, 1998): 0 to 16 out of 16, so the exact likelihood is binomial.
    """
    bunch = load_digits()
    return Content(
        title="1797 handwritten digits of 8 x 8 pixels, each a count from 0 to 16 (UCI, through scikit-learn)",
        spec=images_spec((8, 8, 1), maximum=16),
        family="binomial",
        values=bunch.images.astype(np.uint8)[..., np.newaxis],
        labels=bunch.target.astype(np.int64),
        drawn_test_rows=360,
    )
