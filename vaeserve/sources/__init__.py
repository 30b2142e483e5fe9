"""Readers of data that need no PyTorch: what training reads, and the command.

    fitting    a file of rows -> rows that fit a model
    folder     a folder of pictures, all of one shape -> images and their classes
    pictures   files and folders -> the pictures in them -> rows that fit a model
    ahead      files read by threads, some ahead
    walk       a folder -> the names of all files below it
    picture    one of them -> pixels
    tiff       TIFF files of one page, upright
    libtiff    what the library that decompresses them finds broken
    bits       pictures of more than 8 bits: which value is white
    cropping   a picture of any size -> a row of one size
    idx        one file of the format that MNIST came in -> an array
    arrays     .npy and .npz -> images or a table
    array_fit  arrays of pictures that are not uint8, or whose channels come first -> rows of uint8
    numpy_files .npy and .npz files, opened so that nothing in them is run
    npz        the arrays of a .npz file that are rows, and their classes
    archive    which arrays of a .npz file are rows, and which are the classes of those
    classes    labels, or names of folders -> classes
    columns    .csv and .parquet -> a table
    column_roles which columns are data, and which are each row's class or group
    cells      a column of Arrow -> numbers, and what is wrong with a cell
    head       what the first lines of a .csv file tell
    table      a table -> float32, without what is missing, infinite, constant or an index
    surplus    which of its columns hold no data
    precision  what float32 loses of a column
    content    what a reader found, not yet split
    room       room for rows: in memory, or in a file where they are large
    names      what messages call files and columns

Bad data raises InvalidInput. It is named by the path; the message tells the row or column.
"""
