"""What training, serving and every client share.

    errors       every expected failure, named by whose fault it is
    manifest     describes a model package
    package      writes and opens one
    probes       compares a graph's answers with the trainer's own
    runtime      checks that exactly one ONNX Runtime is installed
    noise        (purpose, seed, row) -> standard normals
    tensors      Tensor message <-> array; parsing is the validation

A client's call goes methods -> description -> calls -> client -> replies:

    methods      what encode, decode and sample take, said once
    description  Model message -> Model, and what is remembered of it
    calls        splits a call into requests that fit the server's limits
    channel      target, credentials and options of a connection
    failures     a failed RPC -> CallError
    endpoint     what both clients share
    client       Client and AsyncClient: the two drivers
    replies      the replies to a call's parts -> one result

The `vae` command goes cli -> commands:

    cli          finds a verb, turns errors into one line
    options      the options that verbs share
    commands     sample, encode, decode, info
    info         descriptions for people
    files        arrays in files, read safely and written whole
    pictures     rows of images -> one PNG grid

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
