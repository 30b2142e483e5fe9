"""Messages of a CallStream: every RPC that takes rows can be a call of a stream."""

from google.protobuf.message_factory import GetMessageClass

from vaeserve.client.stream_messages import answer_of, call_of, request_of
from vaeserve.v1 import vae_pb2 as pb

UNARY = [
    method
    for method in pb.DESCRIPTOR.services_by_name["VaeService"].methods
    if not (method.client_streaming or method.server_streaming) and method.name not in ("GetModel", "ListModels")
]


def test_every_rpc_that_takes_rows_can_be_a_call_of_a_stream() -> None:
    assert UNARY
    for method in UNARY:
        request = GetMessageClass(method.input_type)(model="m")
        call = call_of(7, request, 5)
        assert (call.id, call.timeout_microseconds, request_of(call)) == (7, 5, request)
        response = GetMessageClass(method.output_type)(fingerprint="f")
        reply = pb.Reply(id=7, **{call.WhichOneof("request") or "": response})  # type: ignore[arg-type]
        assert answer_of(reply) == response


def test_an_error_is_no_answer() -> None:
    assert answer_of(pb.Reply(id=7, error=pb.Error(code=5))) is None
