"""In what order replies are written, and which share a message."""

from serving.transport.request_ids import RequestId
from serving.vae_v1.replies import Replies
from serving.vae_v1.streams import MESSAGE_BYTES, StreamCall


def _call(number: int, size: int = 1) -> StreamCall:
    return StreamCall(number, size, "decode", RequestId(None))


def _answer(replies: Replies, call: StreamCall) -> None:
    call.reply = b""
    replies.add(call)


def _ids(replies: Replies) -> list[int]:
    return [call.id for call in replies.take_ready()]


def test_replies_wait_for_those_before_them() -> None:
    replies, calls = Replies(), [_call(number) for number in range(3)]
    for call in calls:
        replies.expect(call)
    _answer(replies, calls[1])
    assert _ids(replies) == []
    _answer(replies, calls[0])
    assert _ids(replies) == [0, 1]
    _answer(replies, calls[2])
    assert (_ids(replies), _ids(replies)) == ([2], [])


def test_in_any_order_they_go_as_they_are_ready() -> None:
    replies, calls = Replies(), [_call(number) for number in range(3)]
    replies.any_order = True
    for call in calls:
        replies.expect(call)
    for number in (2, 0):
        _answer(replies, calls[number])
    assert (_ids(replies), _ids(replies)) == ([2, 0], [])


def test_a_message_has_a_good_size_and_a_larger_reply_travels_alone() -> None:
    replies, half = Replies(), MESSAGE_BYTES // 2
    for number, size in enumerate([half, half, 1, 3 * half, 1]):
        call = _call(number, size)
        replies.expect(call)
        _answer(replies, call)
    assert [_ids(replies) for _ in range(4)] == [[0, 1], [2], [3], [4]]
