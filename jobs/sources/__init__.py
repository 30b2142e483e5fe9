"""Readers of a job's sources: files and folders anywhere -> rows that fit the model.

    opening           addresses -> a source: the doorway
    listing           the files of a source by name, in order, all of one kind
    places            folders and files on this machine or behind a URL
    stores            those behind a URL, through fsspec
    contents          hashes, and whether a file is what it was when the job was planned
    fit_pictures      one picture -> a row
    pictures          a folder of pictures
    archives          tar archives of pictures
    members           the pictures in one archive, one after another
    row_files         files that hold many rows each
    arrays            one file of arrays -> rows
    npz_members       the arrays of a .npz file that are rows
    safetensors_files where a tensor lies in a .safetensors file
    stored_arrays     rows of an array that lies in a file
    fitted            what the model takes of rows, and what is wrong with the others
    choosing          which columns of a table become rows
    tables            one table -> rows
    cells             cells of a table -> rows, and what is wrong with the others
    cursor            rows of a table from anywhere
    parquet_tables    a .parquet file, a few rows at a time
    csv_tables        a .csv file, a few rows at a time
    chunks            rows of several files, put together
    window            what several threads do, a bounded number of steps ahead

A bad row is an error row. A file of rows that is damaged, has changed or does not fit raises InvalidInput, named by
its address.
"""
