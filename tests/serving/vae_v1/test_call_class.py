"""The class of a stream's call; that of metadata is tested over a real connection, with the streams."""

import pytest

from serving.vae_v1.call_class import is_bulk_call
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb


@pytest.mark.parametrize("default", [False, True])
def test_a_call_names_its_class_or_has_the_default(default: bool) -> None:
    assert is_bulk_call(pb.CALL_CLASS_BULK, default)
    assert not is_bulk_call(pb.CALL_CLASS_INTERACTIVE, default)
    assert is_bulk_call(pb.CALL_CLASS_UNSPECIFIED, default) is default


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^call_class: 3 is not a CallClass$"):
        is_bulk_call(3, default=True)
