"""`Local` as its users hold it: what it takes, what it shares with a client, and how it ends."""

import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from serving.local.answering import LocalService
from serving.vae_v1.streams import AnyRowsRequest
from tests.support.servers import ROOT
from vaeserve import Client, Local
from vaeserve.errors import CallError, InvalidInput, PackageError

DATA = np.random.default_rng(0).integers(0, 17, (50, 4, 4, 1), np.uint8)


@pytest.fixture(scope="module")
def local(tiny: Path) -> Local:
    return Local(tiny, threads=1, batch_rows=16)


def test_it_has_the_clients_methods_with_their_arguments() -> None:
    public = {name for name in dir(Client) if not name.startswith("_")} - {"connection"}
    assert public == {name for name in dir(Local) if not name.startswith("_")}
    for name in public:
        assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(Local, name)), name


def test_the_variables_of_a_server_mean_nothing_here(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "none", "BATCH_ROWS": "3", "CALL_ROWS": "5", "PACKAGE": "/none", "ODD": "x"}.items():
        monkeypatch.setenv(f"VAE_{name}", value)
    with Local(tiny, threads=1, batch_rows=16) as local:
        assert (local.get_model().limits.call_rows, local.get_model().limits.batch_rows) == (16384, 16)


def test_how_it_is_run_is_chosen_where_nothing_is_said(tiny: Path) -> None:
    with Local(str(tiny), provider="cpu") as local:
        execution = local.get_model().execution
        assert execution is not None
        assert execution.threads >= 1
        assert execution.source in ("measured", "cached")
        assert len(local.sample(3, timeout_seconds=1e-6).output) == 3  # there is nothing to wait for


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"threads": -1}, "threads"), ({"batch_rows": 10**6}, "batch_rows"), ({"provider": "tpu"}, "provider")],
)
def test_an_argument_that_is_wrong_is_named(tiny: Path, arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Local(tiny, **arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.field == field


def test_what_is_not_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is not a model package"):
        Local(tmp_path)
    with pytest.raises(InvalidInput, match="package: "):
        Local(None)  # type: ignore[arg-type]  # wrong on purpose


def test_threads_share_it(local: Local) -> None:
    expected = local.encode(DATA, output="sample", seed=3).latent
    with ThreadPoolExecutor(8) as threads:
        for encoded in threads.map(lambda _: local.encode(DATA, output="sample", seed=3), range(64)):
            np.testing.assert_array_equal(encoded.latent, expected)


def test_a_batch_that_is_wrong_raises_in_its_turn(local: Local) -> None:
    taken = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal taken
        for batch in (DATA, DATA + 99, DATA):
            taken += 1
            yield batch

    results = local.encode_stream(batches())
    assert taken == 0
    assert len(next(results).latent) == 50
    assert taken == 1
    with pytest.raises(InvalidInput, match="data: "):
        next(results)
    assert taken == 2


def test_a_copy_loads_the_package_again(local: Local, tiny: Path) -> None:
    copy = pickle.loads(pickle.dumps(local))
    assert repr(copy) == f"Local({str(tiny)!r})"
    assert copy.get_model() == local.get_model().model_copy(update={"execution": copy.get_model().execution})
    copy.close()


def test_a_closed_one_is_cancelled(tiny: Path) -> None:
    with Local(tiny, threads=1, batch_rows=16) as local:
        pieces = local.sample_stream(100, message_rows=10)
        next(pieces)
        results = local.encode_stream([DATA, DATA])
        next(results)
    for ask in (
        lambda: local.sample(1),
        lambda: local.encode([b"no image"]),
        local.get_model,
        local.list_models,
        lambda: next(pieces),
        lambda: next(results),
        lambda: next(local.decode_stream([])),
    ):
        with pytest.raises(CallError, match="CANCELLED: the client is closed"):
            ask()
    local.close()


def test_closing_during_a_call_cancels_it(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Local(tiny, threads=1, batch_rows=16)
    answer = LocalService.answer

    def close_first(service: LocalService, method: str, request: AnyRowsRequest) -> Message:
        local.close()
        return answer(service, method, request)

    monkeypatch.setattr(LocalService, "answer", close_first)
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        local.encode(DATA)


FORKED = """
import os, sys
from vaeserve import Local

local = Local(sys.argv[1], threads=1, batch_rows=2)
child = os.fork()
try:
    local.sample(5)
except Exception as exc:
    print(exc, flush=True)
os._exit(0) if child == 0 else os.waitpid(child, 0)
"""


def test_a_forked_process_is_told_to_load_its_own(tiny: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, tiny], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "package: was loaded before this process was forked: load it again in this one\n"
