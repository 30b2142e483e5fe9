"""The two decoders: plain ONNX files, which the peers serve, and packages of them, which `vae serve` serves."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import ROOT


class Graph(NamedTuple):
    """A decoder in a directory."""

    directory: Path
    latent_size: int
    shape: tuple[int, ...]
    """Of one row of its answer, channels first."""

    @property
    def file(self) -> Path:
        """The plain graph: latent -> expectation, both float32."""
        return self.directory / "decoder.onnx"

    @property
    def package(self) -> Path:
        """The package that was made of it."""
        return self.directory / "package"


SIZES: dict[str, tuple[int, tuple[int, ...]]] = {"mlp": (32, (784,)), "conv": (64, (3, 64, 64))}
"""Size of the latent and shape of a row, by the decoder's name."""


def graph_of(name: str, directory: Path) -> Graph:
    """Returns a decoder below a directory; makes it if it is missing."""
    graph = Graph(directory / name, *SIZES[name])
    if not graph.package.exists():
        print(f"making the graphs of {name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.make_graphs", name, str(directory)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return graph
