"""From what `vae train` is told about its data to rows of it.

    load       source -> the reader that fits -> content -> Dataset
    settings   which settings go with which kind of data
    mnist      MNIST and Fashion-MNIST: original files, or a download
    digits     scikit-learn's digits
    pictures   a folder -> its pictures, all of one shape, through `vaeserve.sources`
    split      content -> which rows to train on, to validate on and to test on; no seed changes it
    binary     grey levels -> black and white, drawn
    dataset    Dataset: the rows, split

Bad data is refused with one line that names the file, and the row or column. What `skip_bad` leaves out is listed.
"""

from training.data.binary import draw_binary, training_rows
from training.data.dataset import Dataset, Labels
from training.data.load import load_dataset

__all__ = ["Dataset", "Labels", "draw_binary", "load_dataset", "training_rows"]
