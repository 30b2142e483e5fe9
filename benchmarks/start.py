"""How long a server takes to be ready, what a client's import takes, and how much memory an idle server takes.

    python -m benchmarks.start [--repeats 5] [--package DIRECTORY]

`digits` and a pair of 335 MB are served until their health is SERVING; with --package another package too. What the
trainer's probes take, which a load runs and compares, stands by itself. Imports are those of a fresh interpreter, whose
modules are compiled already.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import ROOT, Server, alternate, medians, serve
from benchmarks.packages import LARGE, package
from benchmarks.printing import claim, table
from vaeserve import Client

CALLS = 1000
MIB = 2**20

# Run before `vae serve`: notes how long the probes run in a load, and how long graphs run for other reasons.
CLOCKED = """
import json, time
from pathlib import Path

from serving.models import measuring
from serving.models.proof import Proof

seconds = {{"probes": 0.0, "other": 0.0}}

def clock(place, name, kind):
    work = getattr(place, name)
    def timed(*arguments, **keywords):
        began = time.perf_counter()
        try:
            return work(*arguments, **keywords)
        finally:
            seconds[kind] += time.perf_counter() - began
            Path({notes!r}).write_text(json.dumps(seconds))
    setattr(place, name, timed)

clock(Proof, "_replay", "probes")
clock(measuring, "_measure_sizes", "other")
for name in ("_exactness", "_warm_up", "give_back_memory", "memory_of"):
    clock(Proof, name, "other")
"""
IMPORTS = {
    "nothing": "pass",
    "numpy, gRPC and protobuf": "import numpy, grpc, grpc.aio; from google.protobuf import any_pb2, descriptor_pool",
    "these and pydantic": "import numpy, grpc, grpc.aio; from google.protobuf import any_pb2, descriptor_pool\n"
    "import pydantic\nclass Smallest(pydantic.BaseModel): pass",
    "vaeserve.Client": "import vaeserve; vaeserve.Client",
}


class Start(NamedTuple):
    """Seconds of one start."""

    seconds: float
    """Until SERVING."""
    probes: float
    """Of these, the replay of the trainer's probes."""
    other_runs: float
    """Of these, other runs of the graphs: to measure, to warm up, to learn how much memory a row takes."""

    @property
    def beside(self) -> float:
        """Seconds beside the probes."""
        return self.seconds - self.probes


class Memory(NamedTuple):
    """Bytes of a server that is idle."""

    ready: float
    ready_own: float
    """Of these, anonymous: without the libraries' files, which processes share."""
    later: float
    """After 1,000 calls."""
    later_own: float


class Imported(NamedTuple):
    """Seconds of a fresh interpreter."""

    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--repeats", "--rounds", type=int, default=5, help="repeats of every figure; medians are printed"
    )
    parser.add_argument("--package", type=Path, help="one more package to start with")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    digits = package("digits")
    plain = _plain_start(digits, options.repeats)
    packages = {"digits": digits, "335 MB": package(LARGE)}
    if options.package:
        packages[str(options.package)] = options.package
    starts = {name: medians([clocked_start(place) for _ in range(options.repeats)]) for name, place in packages.items()}
    table(
        *("seconds", "to SERVING", "probes", "beside them", "of which other runs"),
        rows=[(name, *one[:2], one.beside, one.other_runs) for name, one in starts.items()],
    )
    imports = alternate({name: partial(imported, code) for name, code in IMPORTS.items()}, options.repeats)
    table("import, in seconds", "", rows=[(name, one.seconds) for name, one in imports.items()])
    used = medians([memory(digits) for _ in range(options.repeats)])
    table(
        *("MiB of a server with digits", "resident", "of which its own"),
        rows=[
            ("when it is ready", used.ready / MIB, used.ready_own / MIB),
            (f"after {CALLS:,} calls", used.later / MIB, used.later_own / MIB),
        ],
    )
    _claims(plain, starts, imports, used)


def _claims(plain: float, starts: Mapping[str, Start], imports: Mapping[str, Imported], used: Memory) -> None:
    names = list(IMPORTS)
    own = imports[names[-1]].seconds - imports[names[1]].seconds
    claim("digits: seconds to SERVING", plain, 0.3, is_limit=True)
    claim("a pair of 335 MB: seconds to SERVING beside its probes", starts["335 MB"].beside, 3, is_limit=True)
    claim("import of a client beside numpy, gRPC and protobuf, in seconds", own, 0.05, is_limit=True)
    claim("digits: MiB resident after the calls", used.later / MIB, 100, is_limit=True)


def _plain_start(directory: Path, repeats: int) -> float:
    """Returns the seconds of a start that nothing is noted in. The first, which compiles modules, does not count."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        with serve(directory, cores=os.sched_getaffinity(0)):
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def clocked_start(directory: Path) -> Start:
    """Starts a server, and notes where the time goes."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        began = time.perf_counter()
        with serve(directory, patch=CLOCKED.format(notes=str(notes)), cores=os.sched_getaffinity(0)):
            seconds = time.perf_counter() - began
            noted = json.loads(notes.read_text())
    return Start(seconds, noted["probes"], noted["other"])


def imported(code: str) -> Imported:
    """Runs some imports in a fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return Imported(time.perf_counter() - began)


def memory(directory: Path) -> Memory:
    """Serves a package, and makes 1,000 calls of four kinds."""
    with serve(directory, cores=os.sched_getaffinity(0)) as server:
        ready = _resident(server)
        with Client(server.target) as client:
            for seed in range(CALLS // 4):
                rows = client.sample(1, seed=seed).output
                client.decode(client.encode(rows))
                client.reconstruct(rows)
        return Memory(*ready, *_resident(server))


def _resident(server: Server) -> tuple[int, int]:
    """Returns a server's resident memory, and how much of it is its own."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    sizes = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB", status, re.MULTILINE))
    return int(sizes["VmRSS"]) * 1024, int(sizes["RssAnon"]) * 1024


if __name__ == "__main__":
    main()
