"""The maximum speed of a plain decoder on one core: `session.run` in a loop, one thread, no server.

python -m benchmarks.peers.bare GRAPH LATENT_SIZE ROWS SECONDS
"""

import sys
from functools import partial

import numpy as np

from benchmarks.bare_loop import loop
from benchmarks.peers.joined import Decoder


def main() -> None:
    graph, size, rows, seconds = sys.argv[1:]
    latent = np.random.default_rng(0).normal(size=(int(rows), int(size))).astype(np.float32)
    loop(partial(Decoder(graph).run, latent), float(seconds))


if __name__ == "__main__":
    main()
