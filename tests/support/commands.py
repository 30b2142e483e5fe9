"""Commands that must fail, and what they say."""

import pytest

from vaeserve.command.cli import run

Streams = pytest.CaptureFixture[str]


def refused(arguments: list[str], capsys: Streams, code: int = 1) -> str:
    """Runs a command that must fail, and returns the one line it says."""
    assert run(arguments) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    lines = streams.err.strip().splitlines()
    assert len(lines) == 1 or code == 2
    return lines[-1]
