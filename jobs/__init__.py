"""Batch jobs: any number of rows -> files of latents, rows or scores; resumable, each row once, the same bytes.

refusals   options that a job cannot take, refused by their names
settings   what a job does with its rows, and what a plan notes of the model
rows       what the rooms hand on: files, spans, rows
classes    classes of pictures: the folders that they lie in
sources    files of rows -> rows that fit the model, and errors for those that do not
engine     rows -> answers: ONNX Runtime here, or a running service
sinks      answers -> a partition's file
plan       which rows are in which partition, written once
run        partitions are computed: by processes here, or on a Ray cluster
report     what is done, and whether it is right
job        all of it, from end to end
python     `encode`, `decode`, `reconstruct` and `sample`, for Python
options    what `vae job` can be asked for
cli        `vae job`
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.python import decode, encode, reconstruct, sample

__all__ = ["decode", "encode", "reconstruct", "sample"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from jobs import python

        return getattr(python, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
