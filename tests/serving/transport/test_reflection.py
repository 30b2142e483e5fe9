"""Reflection: the services by name, in both of its versions, and messages that are none."""

import grpc
import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from serving.transport.front import Front
from serving.transport.reflection import reflection_handlers
from tests.support.fronts import play_front

V1, V1_ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"


@pytest.mark.parametrize("version", [V1, V1_ALPHA])
def test_services_are_listed_and_a_message_that_is_none_is_refused(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            f"/{version}/ServerReflectionInfo"
        )
        call = method(timeout=60)
        for _asked in range(2):
            await call.write(ServerReflectionRequest(list_services="").SerializeToString())
            reply = await call.read()
            assert isinstance(reply, bytes)
            listed = ServerReflectionResponse.FromString(reply).list_services_response.service
            assert {service.name for service in listed} == {"a.Service", V1, V1_ALPHA}
        await call.write(b"\xff")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "the message is not a ServerReflectionRequest"

    play_front(scenario, reflection_handlers(("a.Service",)))
    assert not [record for record in caplog.records if record.name.startswith("serving")]
