"""Load on a server, and what came of it."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import grpc

from tests.support.servers import until
from vaeserve.client.channel import connection
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


class Load:
    """One-row calls from some threads, while the context lasts.

    Args:
        target: the server.
        callers: how many threads call.
        root_certificates: PEM certificates, for a connection with TLS.
        has_retries: whether gRPC repeats a call as this project's client has it do.
    """

    def __init__(
        self, target: str, callers: int = 4, root_certificates: bytes = b"", has_retries: bool = False
    ) -> None:
        self.codes: Counter[str] = Counter()
        """How often each status was answered."""
        self.fingerprints: Counter[str] = Counter()
        """How often each model answered."""
        self._target = target
        self._root_certificates = root_certificates
        self._has_retries = has_retries
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(seed,), daemon=True) for seed in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: self.codes["OK"] > 20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        """Number of calls that were not answered."""
        return self.codes.total() - self.codes["OK"]

    def _open(self) -> grpc.Channel:
        retries = connection(self._target).options if self._has_retries else [("grpc.enable_retries", 0)]
        options = [*retries, ("grpc.use_local_subchannel_pool", 1)]
        if not self._root_certificates:
            return grpc.insecure_channel(self._target, options)
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(self._root_certificates), options)

    def _call(self, seed: int) -> None:
        with self._open() as channel:
            stub = VaeServiceStub(channel)
            while not self._stop.is_set():
                try:
                    reply = stub.Sample(pb.SampleRequest(count=1, seed=seed), timeout=30)
                except grpc.RpcError as exc:
                    self.codes[exc.code().name] += 1
                    time.sleep(0.05)
                else:
                    self.codes["OK"] += 1
                    self.fingerprints[reply.fingerprint] += 1
