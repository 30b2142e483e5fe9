"""From what `vae train` is told about its data to rows of it.

    load       source -> the reader that fits -> content -> Dataset
    settings   which settings go with which kind of data
    digits     scikit-learn's digits
    idx        one file of the format that MNIST came in -> an array
    mnist      MNIST and Fashion-MNIST: original files, or a download
    pictures   a folder -> its pictures, all of one shape, through `vae.sources`
    arrays     .npy and .npz -> images or a table
    archive    which arrays of a .npz file are rows, and which are the classes of those
    classes    labels, or names of folders -> classes
    columns    .csv and .parquet -> a table
    head       what the first lines of a .csv file tell
    table      a table -> float32, without what is missing, infinite, constant or an index
    surplus    which of its columns hold no data
    precision  what float32 loses of a column
    content    what a reader found, not yet split
    split      content -> which rows to train on, to validate on and to test on; no seed changes it
    binary     grey levels -> black and white, drawn
    dataset    Dataset: the rows, split

Bad data is refused with one line that names the file, and the row or column. What `skip_bad` leaves out is listed.
"""

from training.data.binary import draw_binary, training_rows
from training.data.dataset import Dataset, Labels
from training.data.load import load_dataset

__all__ = ["Dataset", "Labels", "draw_binary", "load_dataset", "training_rows"]
