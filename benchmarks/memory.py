"""Whether a server's memory grows over many calls of every kind.

    python -m benchmarks.memory [--package digits] [--calls 100000]

Encode, Decode, Sample and Reconstruct of 1 to 256 rows. One call in ten is cancelled at a random time, one in ten has a
deadline that is too short, and one in ten is malformed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import grpc
import numpy as np
from google.protobuf.message import Message

from benchmarks.calls import ANY_SIZE, call_path
from benchmarks.clocks import resident_bytes
from benchmarks.harness import Server, arguments, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

WORKERS = 32
MOST_ROWS = 256
SETTLE_SECONDS = 1.0
Request = tuple[str, bytes]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--package", choices=NAMES, default="digits")
    parser.add_argument("--calls", type=int, default=100_000)
    options = parser.parse_args()
    directory = package(options.package)
    make = requests_of(ModelPackage.open(directory).manifest)
    codes: Counter[str] = Counter()
    resident = {}
    with serve(directory, "--threads", "1") as server:
        for calls in (options.calls // 10, options.calls // 2, options.calls):
            codes += asyncio.run(send(server, make, calls - codes.total()))
            resident[calls] = resident_bytes(server.pid)
            print(f"{calls:,} calls: {resident[calls] / 2**20:.1f} MiB resident", flush=True)
    print(", ".join(f"{code} {count:,}" for code, count in codes.most_common()))
    growth = resident[options.calls] / resident[options.calls // 10]
    claim("resident memory at the end over that after a tenth", growth, 1.02, is_limit=True)


def requests_of(manifest: Manifest) -> Callable[[random.Random], Request]:
    """Returns a function that draws a request: an RPC's name and a serialised message, which is sometimes malformed."""
    noise = np.random.default_rng(0)
    spec = manifest.data
    data = noise.integers(int(spec.minimum), int(spec.maximum), (MOST_ROWS, *spec.shape), np.uint8, endpoint=True)
    latent = noise.normal(size=(MOST_ROWS, *manifest.latent.shape)).astype(np.float32)

    def draw(source: random.Random) -> Request:
        rows = int(MOST_ROWS ** source.random())
        messages: list[tuple[str, Message]] = [
            ("Encode", pb.EncodeRequest(data=to_message(data[:rows]), output=source.choice(pb.EncodeOutput.values()))),
            ("Decode", pb.DecodeRequest(latent=to_message(latent[:rows]))),
            ("Sample", pb.SampleRequest(count=rows, include_latent=source.random() < 0.5)),
            ("Reconstruct", pb.ReconstructRequest(data=to_message(data[:rows]))),
        ]
        method, message = source.choice(messages)
        content = message.SerializeToString()
        return method, content if source.random() > 0.1 else content[: source.randrange(len(content))] + b"\xff"

    return draw


async def send(server: Server, make: Callable[[random.Random], Request], calls: int) -> Counter[str]:
    """Sends calls, a few at a time, waits for the server to settle, and returns the number of calls by status code."""
    codes: Counter[str] = Counter()
    source = random.Random(calls)
    waiting = iter(range(calls))
    async with grpc.aio.insecure_channel(server.target, options=ANY_SIZE) as channel:

        async def worker() -> None:
            for _ in waiting:
                method, content = make(source)
                rpc = channel.unary_unary(call_path(method), request_serializer=bytes, response_deserializer=bytes)
                fate = source.random()
                call = rpc(content, timeout=source.uniform(0, 0.02) if fate < 0.1 else 60)
                if fate > 0.9:
                    asyncio.get_running_loop().call_later(source.uniform(0, 0.02), call.cancel)
                codes[(await call.code()).name] += 1

        await asyncio.gather(*(worker() for _ in range(WORKERS)))
    await asyncio.sleep(SETTLE_SECONDS)
    return codes


if __name__ == "__main__":
    main()
