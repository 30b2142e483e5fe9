"""From the settings about data to a Dataset: its rows, split.

    load       source -> the reader that fits -> content -> Dataset
    settings   which settings go with which kind of data
    mnist      MNIST and Fashion-MNIST: original files, or a download
    digits     scikit-learn's digits
    constant   a table -> the table without the columns that do not vary
    classes    training on some classes alone
    repeated   held-out rows that are training rows too
    split      content -> which rows to train on, to validate on and to test on; no seed changes it
    binary     grey levels -> black and white, drawn
    naming     the name of a package after that of its data
    dataset    Dataset: the rows, split

Bad data is refused in one line that names the file, and the row or column. Whatever `skip_bad` leaves out is listed.
"""

from training.data.binary import draw_binary, training_rows
from training.data.dataset import Dataset, SplitLabels
from training.data.load import load_dataset

__all__ = ["Dataset", "SplitLabels", "draw_binary", "load_dataset", "training_rows"]
