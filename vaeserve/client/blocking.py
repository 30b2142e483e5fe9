"""Client: how the verbs are asked of a server. A thin driver of calls, as AsyncClient is another.

    arguments -> PreparedCall (calls) -> requests for the model as last described -> RPCs -> one result

Both raise InvalidInput for a caller's mistakes and CallError for failures of the server or the network. gRPC retries
UNAVAILABLE for about 3 s; RESOURCE_EXHAUSTED is retried by the client, after the time that the server asks for.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Unpack

from vaeserve.client.blocking_sender import BlockingSender
from vaeserve.client.blocking_streams import BlockingStreams
from vaeserve.client.call import PreparedCall, Reply, Result, as_route
from vaeserve.client.channel import Connection, open_channel
from vaeserve.client.description import Model, parse_model
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.options import ClientOptions
from vaeserve.client.results import Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.stream_jobs import StreamJob
from vaeserve.client.verbs import BlockingVerbs
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


class Client(BlockingVerbs):
    """Calls a server from any number of threads. A large call's parts run one after another.

    Args:
        target: HOST:PORT, or any gRPC target, for example `dns:///host:port` or `unix:/path`.
        timeout_seconds: deadline of each request, including retries, unless a call has its own.
        token: bearer token; refused without TLS unless the target is this machine.
        tls: whether to use TLS; certificates imply it.
        root_certificates: PEM file of the authorities to trust instead of the system's.
        client_certificate: PEM file of the certificate chain to present.
        client_key: PEM file of its private key.
        bulk: whether every call yields to interactive calls of other clients, as calls over streams always do.

    Raises:
        InvalidInput: an option is out of range, the options contradict each other, or a file cannot be read.
    """

    def __init__(self, target: str, **options: Unpack[ClientOptions]) -> None:
        self._endpoint = Endpoint(target, 1, **options)
        self._sender = BlockingSender(self._endpoint)
        self._channel = open_channel(self._endpoint.connection)
        self._stub = VaeServiceStub(self._channel)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection.target!r})"

    def __getstate__(self) -> dict[str, object]:
        """Returns the constructor's arguments, from which another process makes its own client."""
        return self._endpoint.arguments

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self.__init__(**arguments)  # type: ignore[misc]  # a pickle holds what __getstate__ returned

    @property
    def connection(self) -> Connection:
        """How the server is reached, for callers that open their own channel."""
        return self._endpoint.connection

    def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as it is now. Empty and 0: the only model and its newest version."""
        route = as_route(model, version)
        request = pb.GetModelRequest(model=route.model, version=route.version)
        return self._endpoint.remember(
            route, self._sender.send(self._stub.GetModel, request, self._endpoint.seconds(timeout_seconds))
        )

    def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """Describes every model, ordered by name, then version."""
        reply = self._sender.send(
            self._stub.ListModels, pb.ListModelsRequest(), self._endpoint.seconds(timeout_seconds)
        )
        return [parse_model(model) for model in reply.models]

    def close(self) -> None:
        """Closes the connection; calls in progress and later ones fail with CANCELLED."""
        self._endpoint.is_closed = True
        self._sender.stop()
        self._channel.close()

    def _converse(
        self, job: StreamJob[Reply, Result], batches: Iterable[Any], timeout_seconds: float | None
    ) -> Iterator[Result]:
        return self._streams.converse(job, batches, self._endpoint.seconds(timeout_seconds))

    def _draw(self, samples: Samples, timeout_seconds: float | None) -> Iterator[Sampled]:
        return self._streams.receive_all(samples, self._endpoint.seconds(timeout_seconds))

    @property
    def _streams(self) -> BlockingStreams:
        """Made for each job, because a client that held it would be a cycle, whose connection outlives it."""
        return BlockingStreams(self._endpoint, self._stub, self.get_model)

    def _call(self, call: PreparedCall[Reply, Result], timeout_seconds: float | None) -> Result:
        seconds = self._endpoint.seconds(timeout_seconds)
        plan = self._endpoint.plan(call, seconds)
        if plan is None:
            plan = self._endpoint.plan_for(self.get_model(*call.route, timeout_seconds=seconds), call, seconds)
        rpc = getattr(self._stub, call.method)
        replies: list[Reply] = []
        with self._endpoint.doubting(call.route):
            for request in plan.requests:
                replies.append(self._sender.send(rpc, request, seconds))
                plan.learn(request, replies[-1])
            return self._endpoint.join(call, plan.model, replies)
