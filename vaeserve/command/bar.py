"""A progress bar on a terminal. Needs tqdm, which a client can do without: imported only to draw a bar."""

import os
from collections.abc import MutableMapping
from typing import Any, TextIO

from tqdm import tqdm

_FREE_COLUMNS = 2  # and the one that tqdm keeps free


class Bar(tqdm):  # type: ignore[type-arg]  # tqdm takes them in its stubs alone
    """A bar that keeps clear of the last columns, where the terminal's echo of Ctrl-C would wrap."""

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        """The figures that tqdm draws."""
        figures = super().format_dict
        if figures["ncols"]:
            figures["ncols"] = max(1, figures["ncols"] - _FREE_COLUMNS)
        return figures


def is_wide(stream: TextIO | None) -> bool:
    """Whether a bar can be drawn: the stream is a terminal, and does not report zero columns."""
    if stream is None or not stream.isatty():
        return False
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except OSError:
        return True
