"""A stream that is open: what ends it reaches whoever reads from it."""

import pytest

from vaeserve.client.open_stream import OpenStream


class Failing:
    """An RPC whose reply cannot be read."""

    def __next__(self) -> object:
        raise ValueError("a bug")

    def cancel(self) -> None: ...


def test_whatever_ends_the_reading_reaches_the_reader() -> None:
    stream: OpenStream[object] = OpenStream(Failing)
    with pytest.raises(ValueError, match="a bug"):
        stream.read(60)
    stream.close()
