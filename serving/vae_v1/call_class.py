"""Who yields when the device is short: interactive calls go first, bulk calls take what is left."""

from serving.transport.context import Context
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb

_IS_BULK: dict[int, bool] = {pb.CALL_CLASS_INTERACTIVE: False, pb.CALL_CLASS_BULK: True}


def is_bulk_context(context: Context, default: bool) -> bool:
    """Whether a call's metadata makes it bulk.

    Raises:
        InvalidInput: there is no such class.
    """
    for key, value in context.metadata:
        if key == "vae-class":
            if value not in ("interactive", "bulk"):
                raise InvalidInput("vae-class", f"is {str(value)[:128]!r}, must be interactive or bulk")
            return value == "bulk"
    return default


def is_bulk_call(call_class: int, default: bool) -> bool:
    """Whether the class that a stream's call names makes it bulk.

    Raises:
        InvalidInput: there is no such class.
    """
    if call_class == pb.CALL_CLASS_UNSPECIFIED:
        return default
    if call_class not in _IS_BULK:
        raise InvalidInput("call_class", f"{call_class} is not a CallClass")
    return _IS_BULK[call_class]
