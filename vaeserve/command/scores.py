"""Scores of rows -> a table in a file: `.npz`, `.csv` or `.parquet`."""

import csv
import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from vaeserve.client.results import Reconstructed
from vaeserve.command.outputs import ResultFile, places_array
from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray

SCORES = ("log_likelihood", "kl", "elbo", "squared_error")


def check_format(output: ResultFile) -> None:
    """Makes sure that the format's library is installed, before any work is done for it.

    Raises:
        InvalidInput: `.parquet` needs Arrow, which is not installed.
    """
    if output.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise InvalidInput(str(output.path), "needs pyarrow: pip install pyarrow, or write .csv or .npz")


def write_scores(
    output: ResultFile, scored: Reconstructed, files: Sequence[str], first_row: int, numbers: AnyArray | None = None
) -> None:
    """Writes the scores that the model has, one line a row. A `.npz` file also holds where they came from.

    Args:
        output: the file or standard output.
        scored: the rows, decoded again, and their scores.
        files: of which each holds one row; empty if the rows came from an array or a table.
        first_row: number of the first row of a sample.
        numbers: of the rows in their file, if some of its rows were left out.

    Raises:
        InvalidInput: the disk refuses it.
    """
    scores = {name: values for name in SCORES if (values := getattr(scored, name)) is not None}
    if output.suffix == ".npz":
        return output.write_arrays(
            **scores,
            output=scored.output,
            fingerprint=scored.fingerprint,
            seed=scored.seed,
            first_row=None if scored.seed is None else first_row,
            files=list(files) or None,
            rows=numbers,
            places=places_array(scored.places),
        )
    named: dict[str, Any] = (
        {"file": list(files)}
        if files
        else {"row": np.arange(len(scored.squared_error)) if numbers is None else numbers}
    )
    table = {**named, **scores}
    if output.suffix == ".csv":
        return output.write(lambda file: _write_csv(file, table))
    import pyarrow
    import pyarrow.parquet

    annotated = pyarrow.table(table).replace_schema_metadata({"fingerprint": scored.fingerprint})
    return output.write(lambda file: pyarrow.parquet.write_table(annotated, file))


def _write_csv(file: BinaryIO, table: dict[str, Any]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    text.detach()
