"""Readers of data that need no PyTorch: what training reads, and the command.

    pictures   a folder -> its picture files -> rows
    picture    one of them -> pixels
    idx        one file of the format that MNIST came in -> an array
    arrays     .npy and .npz -> images or a table
    archive    which arrays of a .npz file are rows, and which are the classes of those
    classes    labels, or names of folders -> classes
    columns    .csv and .parquet -> a table
    head       what the first lines of a .csv file tell
    table      a table -> float32, without what is missing, infinite, constant or an index
    surplus    which of its columns hold no data
    precision  what float32 loses of a column
    content    what a reader found, not yet split
    names      what messages and packages call settings, files and columns

What is bad raises InvalidInput or TrainingError, named by the path, and the row or column.
"""
