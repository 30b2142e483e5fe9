"""A Python environment of each peer, made once by pip."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


class MissingPeer(Exception):
    """A peer cannot be had on this machine; the message says why in one line."""


RUNTIME = f"onnxruntime=={version('onnxruntime')}"
"""What runs the graphs: of one version on every side."""


def environment(directory: Path, *requirements: str) -> Path:
    """Returns the Python of an environment that holds some packages; makes the environment if it is missing.

    Raises:
        MissingPeer: pip cannot install them.
    """
    python, marker = directory / "bin" / "python", directory / "installed"
    wanted = "\n".join(requirements)
    if not marker.exists() or marker.read_text() != wanted:
        print(f"installing {' '.join(requirements)} ...", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(directory)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        ):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise MissingPeer(f"pip cannot install it: {last_line(done.stderr or done.stdout)}")
        marker.write_text(wanted)
    return python


def last_line(text: str) -> str:
    """Returns the last line that is not empty."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was told")
