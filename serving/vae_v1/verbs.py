"""The RPCs that take rows, by the verb that a call of a stream names them with."""

from serving.vae_v1.decode import Decode
from serving.vae_v1.encode import Encode
from serving.vae_v1.reconstruct import Reconstruct
from serving.vae_v1.rpc import AnyRowsRpc
from serving.vae_v1.sample import Sample

VERBS: dict[str, AnyRowsRpc] = {
    "encode": Encode(),
    "decode": Decode(),
    "sample": Sample(),
    "reconstruct": Reconstruct(),
}
"""By the oneof arm of a stream's call, and of its reply. Each is a unary RPC, too."""
