"""Streaming: rows that verbs send as bulk work, a slice at a time, under a progress bar; results are joined."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from vaeserve.client.call import Result
from vaeserve.client.description import Model
from vaeserve.client.results import one_pair
from vaeserve.client.stream_messages import MESSAGE_BYTES
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize


def slices(rows: Array | list[bytes], model: Model, size: PictureSize | None = None) -> Iterator[Array | list[bytes]]:
    """Returns slices of data or of latents. Each makes a request and a reply of about one message.

    Args:
        rows: of data or of latents.
        model: that they fit.
        size: of their pictures, where it is free.
    """
    data, latent = model.data.at(size), model.latent.at(size)
    step = max(1, MESSAGE_BYTES // max(data.bytes_of(1, "float32"), latent.bytes_of(1)))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def joined(pieces: Iterable[Result], rows: int) -> Result:
    """Returns one result of many, with the timing of the first. A terminal shows how many of the rows have come.

    Raises:
        CallError: as the pieces raise it; ABORTED if different pairs answered them.
    """
    results: list[Any] = []
    with _bar(rows) as count_rows:
        for piece in pieces:
            results.append(piece)
            count_rows(_rows_of(piece))
    one_pair(results)
    arrays = {name: [getattr(piece, name) for piece in results] for name in _arrays(results[0])}
    whole: dict[str, Any] = {name: np.concatenate(parts) for name, parts in arrays.items()}
    if hasattr(results[0], "places"):
        whole["places"] = tuple(place for piece in results for place in piece.places)
    return cast(Result, results[0]._replace(**whole))


def _arrays(piece: Any) -> list[str]:  # noqa: ANN401, any result is a NamedTuple
    return [name for name, value in piece._asdict().items() if isinstance(value, np.ndarray)]


def _rows_of(piece: Any) -> int:  # noqa: ANN401
    return len(getattr(piece, _arrays(piece)[0]))


@contextmanager
def _bar(rows: int) -> Iterator[Callable[[int], object]]:
    """Yields the function that counts rows: a progress bar on a terminal, if tqdm is installed, else nothing."""
    try:
        if sys.stderr is None or not sys.stderr.isatty():
            raise ModuleNotFoundError
        from vaeserve.command.bar import Bar, is_wide
    except ModuleNotFoundError:
        yield lambda rows: None
        return
    with Bar(
        total=rows,
        leave=False,
        dynamic_ncols=True,
        disable=not is_wide(sys.stderr),
        bar_format="{n_fmt}/{total_fmt} rows |{bar}| {remaining}",
    ) as bar:
        yield bar.update
