"""A running server takes what comes into its directory, and no call notices."""

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.packages import corrupt, publish
from tests.support.servers import RunningServer, StartServer, until
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


def _versions(stub: VaeServiceStub) -> list[tuple[str, int]]:
    return [(model.name, model.version) for model in stub.ListModels(pb.ListModelsRequest()).models]


def _until(stub: VaeServiceStub, expected: list[tuple[str, int]]) -> None:
    until(lambda: _versions(stub) == expected)


@contextmanager
def _callers(target: str) -> Iterator[list[str]]:
    """Calls without a pause while the block runs; yields the fingerprints answered. No call may fail."""
    answered: list[str] = []
    is_over = threading.Event()

    def call(stub: VaeServiceStub) -> None:
        while not is_over.is_set():
            answered.append(stub.Sample(pb.SampleRequest(count=2, model="tiny")).fingerprint)

    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, VaeServiceStub(channel)) for _ in range(4)]
        try:
            yield answered
        finally:
            is_over.set()
        for one in calls:
            one.result()
    assert answered


@contextmanager
def _stub(server: RunningServer) -> Iterator[VaeServiceStub]:
    with grpc.insecure_channel(server.target) as channel:
        yield VaeServiceStub(channel)


def test_versions_come_and_go_and_no_call_fails(start_server: StartServer, tmp_path: Path) -> None:
    publish(tmp_path / "1")
    server = start_server(package=tmp_path)
    with _stub(server) as stub, _callers(server.target):
        for version in (2, 3, 4):
            publish(tmp_path / str(version), version=version)
            _until(stub, [("tiny", version - 1), ("tiny", version)])
        assert stub.GetModel(pb.GetModelRequest()).model.version == 4
        assert stub.GetModel(pb.GetModelRequest()).model.exactness.is_exact
        assert stub.Sample(pb.SampleRequest(count=1, version=3)).data.shape[0] == 1
        shutil.rmtree(tmp_path / "4")
        _until(stub, [("tiny", 2), ("tiny", 3)])
        assert _health(server) == health_pb2.HealthCheckResponse.SERVING
    log = server.stop()
    assert "no longer serving tiny version 4" in log
    assert "Traceback" not in log


def test_a_bad_package_changes_nothing_and_the_log_says_why(start_server: StartServer, tmp_path: Path) -> None:
    publish(tmp_path / "1")
    server = start_server(package=tmp_path)
    with _stub(server) as stub, _callers(server.target):
        staged = publish(tmp_path / ".2", version=2)
        corrupt(staged)
        staged.rename(tmp_path / "2")
        publish(tmp_path / "3", version=3, is_right=False)
        publish(tmp_path / "other", name="other")
        _until(stub, [("other", 1), ("tiny", 1)])
        with pytest.raises(grpc.RpcError) as refused:
            stub.Sample(pb.SampleRequest(count=1))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "model: is empty, and there are several: name one of other, tiny"
    errors = [line for line in server.stop().splitlines() if "ERROR" in line]
    assert [("wrong checksum" in line, "probe " in line) for line in errors] in (
        [(True, False), (False, True)],
        [(False, True), (True, False)],
    )


def test_a_package_that_is_replaced_in_its_place_is_taken(start_server: StartServer, tmp_path: Path) -> None:
    package = publish(tmp_path / "model")
    server = start_server(package=package)
    assert server.announcement.startswith(f"serving tiny version 1 on {server.target}, provider cpu, ")
    with _stub(server) as stub, _callers(server.target):
        for version in (2, 3):  # twice: the watch must follow the directory that took the place of the first
            publish(package, version=version)
            _until(stub, [("tiny", version)])
    server.stop()


def test_a_signal_makes_it_look_where_nothing_is_watched(start_server: StartServer, tmp_path: Path) -> None:
    publish(tmp_path / "1")
    server = start_server("--watch", "off", package=tmp_path)
    with _stub(server) as stub, _callers(server.target):
        publish(tmp_path / "2", version=2)
        time.sleep(0.5)
        assert _versions(stub) == [("tiny", 1)]
        server.process.send_signal(signal.SIGHUP)
        _until(stub, [("tiny", 1), ("tiny", 2)])
    server.stop()


def test_the_default_model_may_come_later(start_server: StartServer, tmp_path: Path) -> None:
    publish(tmp_path / "other", name="other")
    server = start_server("--default-model", "tiny", package=tmp_path)
    with _stub(server) as stub:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Sample(pb.SampleRequest(count=1))
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        assert refused.value.details() == "the default model 'tiny' is not served here; other version 1 is"
        publish(tmp_path / "tiny", version=3)
        _until(stub, [("other", 1), ("tiny", 3)])
        found = stub.GetModel(pb.GetModelRequest()).model
        assert (found.name, found.version, found.is_default) == ("tiny", 3, True)
        assert [model.is_default for model in stub.ListModels(pb.ListModelsRequest()).models] == [False, True]
    [warning] = [line for line in server.stop().splitlines() if "WARNING" in line]
    assert warning.endswith("default_model tiny is not served yet: until it is, callers who name no model are refused")


def _health(server: RunningServer) -> int:
    with grpc.insecure_channel(server.target) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status  # type: ignore[no-any-return]
