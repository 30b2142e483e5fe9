"""What training, serving and every client share.

    manifest   describes a model package
    package    writes and opens one
    probes     compares a graph's answers with the trainer's own
    tensors    Tensor message <-> array; parsing is the validation
    runtime    checks that exactly one ONNX Runtime is installed
    noise      (purpose, seed, row) -> standard normals
    pictures   rows of images -> one PNG grid
    calls      splits a client's work into requests, joins the replies
    client     Client and AsyncClient
    cli        the `vae` command

Light by rule: numpy, grpcio, protobuf, pydantic and Pillow; never torch, onnx or onnxruntime. `from vae import Client`
loads gRPC only when asked.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> object:
    if name in __all__:
        import vae.client

        return getattr(vae.client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
