"""Triton and mosec beside `vae serve`: the same decoders, the same load, one core for the server.

    python -m benchmarks.peers [--work DIRECTORY] [--models mlp,conv]

The first run installs each peer with pip into an environment below the directory, which takes some minutes and 650 MB.
A peer that cannot be installed or started is left out, with a line that says why. Answers are checked before any load.
"""

import os
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import alternate, arguments
from benchmarks.limits import minimal
from benchmarks.packages import CACHE
from benchmarks.peers import unary
from benchmarks.peers.cases import BUSY, CASES, LEAST, Case, latent_of, sides_of
from benchmarks.peers.check import difference
from benchmarks.peers.dialects import Peer
from benchmarks.peers.environments import MissingPeer
from benchmarks.peers.graphs import SIZES, Graph, graph_of
from benchmarks.peers.mosec_rig import MOSEC
from benchmarks.peers.ours import OURS
from benchmarks.peers.results import Loads, judge, show
from benchmarks.peers.served import Served
from benchmarks.peers.triton import TRITON

PEERS = (OURS, TRITON, MOSEC)


def main() -> None:
    parser = arguments(__doc__, seconds=2.0)
    parser.add_argument("--work", type=Path, default=CACHE / "peers", help="directory for environments and graphs")
    parser.add_argument("--models", type=_models, default=[*SIZES], help="decoders, with commas between: mlp,conv")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    peers, results = list(PEERS), dict[Case, Loads]()
    for name in options.models:
        graph = graph_of(name, options.work.resolve() / "graphs")
        with ExitStack() as stack:
            servers = dict(start(peers, graph, options.work.resolve(), stack))
            least = stack.enter_context(least_of(servers[OURS.name], graph))
            results |= measure(servers, least, graph, options)
    judge(results)


def _models(text: str) -> list[str]:
    names = text.split(",")
    if unknown := {*names} - SIZES.keys():
        raise ArgumentTypeError(f"must be of {', '.join(SIZES)}, not {', '.join(sorted(unknown))}")
    return names


def start(peers: list[Peer], graph: Graph, work: Path, stack: ExitStack) -> Iterable[tuple[str, Served]]:
    """Starts and checks every server; one that cannot be had is taken from the list."""
    for peer in list(peers):
        try:
            served = stack.enter_context(Served(peer, graph, work))
        except MissingPeer as exc:
            peers.remove(peer)
            print(f"{peer.name} is left out: {exc}", flush=True)
            continue
        largest = difference(served.server, peer.dialect, graph)
        print(f"{peer.name}, {graph.directory.name}: answers differ from ONNX Runtime's by {largest:.2g} at most")
        yield peer.name, served


def least_of(ours: Served, graph: Graph) -> Served:
    """Returns a minimal server that answers one row as ours does."""
    reply = ours.dialect.ask(ours.server, ours.dialect.request(latent_of(graph, 1)))
    return Served(Peer(LEAST, lambda *_: minimal("uvloop", reply), ours.dialect), graph, Path())


def measure(servers: dict[str, Served], least: Served, graph: Graph, options: Namespace) -> dict[Case, Loads]:
    """Loads the servers by turns, case by case; prints and returns the medians."""
    ours, results = servers[OURS.name], dict[Case, Loads]()
    for case in (case for case in CASES if case.model == graph.directory.name):
        sides = sides_of(case, graph, servers, least, options.seconds)
        loads = alternate(sides, options.repeats)
        show(str(case), loads, case.rows)
        results[case] = loads
    if BUSY in results and TRITON.name in servers:
        several = unary.sides_of(ours, servers[TRITON.name], latent_of(graph, 1), BUSY.callers, options.seconds)
        loads = alternate(several, options.repeats)
        show(f"{BUSY}: a shared stream beside unary calls", loads, BUSY.rows)
        results[BUSY] = {**results[BUSY], **loads}
    return results


if __name__ == "__main__":
    main()
