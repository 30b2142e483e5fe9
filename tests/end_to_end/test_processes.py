"""One client in several event loops, processes and pickles."""

import asyncio
import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.servers import ROOT, RunningServer, StartServer
from vaeserve import AsyncClient, Client
from vaeserve.errors import CallError, InvalidInput

LATENT = np.zeros((1, 3), np.float32)


def test_a_client_goes_on_in_the_next_event_loop(server: RunningServer) -> None:
    client = AsyncClient(server.target, timeout_seconds=30)
    outputs = {asyncio.run(client.decode(LATENT)).output.tobytes() for _ in range(3)}
    assert len(outputs) == 1
    asyncio.run(client.close())
    with pytest.raises(CallError, match="the client is closed"):
        asyncio.run(client.decode(LATENT))


def test_a_stream_that_is_open_in_one_event_loop_keeps_the_client_from_the_next(server: RunningServer) -> None:
    client = AsyncClient(server.target, share_stream=True, timeout_seconds=30)
    asyncio.run(client.decode(LATENT))
    for _ in range(2):
        with pytest.raises(InvalidInput, match="client: left a stream open in another event loop, which has ended"):
            asyncio.run(client.decode(LATENT))
    asyncio.run(client.close())
    assert asyncio.run(copy.copy(client).decode(LATENT)).output.shape[0] == 1


def test_two_loops_at_once_are_refused(server: RunningServer) -> None:
    async def use() -> None:
        async with AsyncClient(server.target) as client:
            await client.get_model()
            with pytest.raises(
                InvalidInput, match="client: is in use by another event loop: make one client for each loop"
            ):
                await asyncio.to_thread(asyncio.run, client.get_model())
            assert (await client.sample(1, seed=3)).seed == 3

    asyncio.run(use())


_LOOPS = """
import asyncio, sys
import numpy as np
from vaeserve import AsyncClient

async def use():
    async with AsyncClient(sys.argv[1], share_stream=True) as client:
        latent = np.zeros((1, 3), np.float32)
        await asyncio.gather(*(client.decode(latent) for _ in range(64)))
        async for sampled in client.sample_stream(300):
            pass
        async for decoded in client.decode_stream([latent] * 5):
            pass

for _ in range(20):
    asyncio.run(use())
"""


def _run(program: str, *arguments: str) -> str:
    """Runs a program that must say nothing on the error stream, and returns what it prints."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_many_event_loops_leave_grpc_nothing_to_complain_of(server: RunningServer) -> None:
    assert _run(_LOOPS, server.target) == ""


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_a_copied_client_is_another_one_of_the_same_server(start_server: StartServer, tmp_path: Path, copied) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    (tmp_path / "tokens").write_text("token\n")
    server = start_server("--token-file", str(tmp_path / "tokens"))
    with Client(server.target, token="token", timeout_seconds=20) as client:
        client.list_models()
        other = copied(client)
    assert repr(other) == repr(client)
    with other:
        assert other.sample(1, seed=4).seed == 4
    shared = copied(AsyncClient(server.target, token="token", share_stream=True))
    assert asyncio.run(shared.decode(LATENT)).output.shape[0] == 1


_SPAWN = """
import multiprocessing, sys
from vaeserve import Client

def draw(client, seed):
    return client.sample(1, seed=seed).seed

if __name__ == "__main__":
    with Client(sys.argv[1], timeout_seconds=30) as client:
        client.get_model()
        with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
            print(pool.starmap(draw, [(client, seed) for seed in range(4)]))
        print(client.sample(1, seed=9).seed)
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_processes_of_a_pool_share_a_client(server: RunningServer, tmp_path: Path, method: str) -> None:
    (tmp_path / "program.py").write_text(_SPAWN)
    command = [sys.executable, str(tmp_path / "program.py"), server.target, method]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert done.stdout == "[0, 1, 2, 3]\n9\n", done.stderr


_FORK = """
import os, sys
from vaeserve import Client

with Client(sys.argv[1], timeout_seconds=30) as client:
    client.get_model()
    child = os.fork()
    os.write(1, b"%d\\n" % client.sample(1, seed=5).seed)
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.write(1, b"%d\\n" % client.sample(1, seed=6).seed)
"""


def test_a_client_outlives_a_fork_on_both_sides(server: RunningServer) -> None:
    assert _run(_FORK, server.target) == "5\n5\n6\n"
