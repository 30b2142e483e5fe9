"""What training, serving and every client share.

    errors       every expected failure, named by whose fault it is
    records      frozen values that are read from files, and what is wrong with one
    signatures   what every graph of a package takes and gives
    manifest     describes a model package
    package      writes and opens one
    bounded      a stranger's files, read no further than they may be long
    external_data  whether a graph takes weights that no checksum covers
    probes       compares a graph's answers with the trainer's own
    runtime      checks that exactly one ONNX Runtime is installed; tells its lack of memory
    slices       many rows, as many at once as there is memory for
    noise        (purpose, seed, row) -> standard normals
    posterior    draws from a posterior, and its KL
    tensors      Tensor message <-> array; parsing is the validation
    images       encoded images <-> rows of an image model
    image_files  what an image's header tells before anything is decoded
    printable    text from outside, fit for one line

Data from files that both training and the command read: `sources`, with its own order.

A client's call goes client -> calls -> channel -> replies:

    client        Client: arguments -> one result
    async_client  AsyncClient: the same, awaited
    endpoint      what both are told of a server, and remember of it
    scalars       a caller's single values, checked
    given         what a caller holds, of whichever library, as rows
    calls         turns a call into requests, and their replies into one result
    parts         splits a caller's rows so that requests fit the server's limits
    stride        how many rows a part may hold, so that its answer comes in time
    description   Model message -> Model
    channel       target, credentials and options of a connection
    targets       what a target names: a port, this machine; whether a proxy stands before it
    failures      a failed RPC -> CallError, or a pause before the next try
    replies       the replies to a call's parts -> one result

Over streams it goes stream_client -> streams -> open_stream:

    stream_client        Client's long jobs; async_stream_client AsyncClient's
    streams              what is sent, what was answered, what is sent again when a stream broke
    samples              the rows of a SampleStream that are still to come
    shared_stream        the concurrent calls of an AsyncClient over one stream
    open_stream          one of them, from its opening to its end

The `vae` command goes cli -> commands -> inputs -> jobs -> outputs:

    cli          finds a verb, turns errors into one line
    __main__     `python -m vae`
    parser       the parser that every verb uses
    completion   `vae completion`: a script for the user's shell
    options      the options that client verbs share
    commands     encode, reconstruct
    decoding     sample, decode
    jobs         rows that they send over streams, a slice at a time, under a progress bar
    inputs       what is read: files, folders or standard input
    outputs      where results are written: files, or standard output
    scores       scores of rows -> a table in a file
    questions    info, health
    health       whether a server is there and ready
    info         descriptions for people
    files        arrays in files, read safely and written whole
    pictures     rows of images -> one PNG grid
    bench        `vae bench`: load on a user's own server, and figures
    bar          the progress bar of training, bench and long jobs

Light by rule: numpy, grpcio, protobuf, pydantic and Pillow; never torch, onnx or onnxruntime. `from vae import Client`
loads gRPC only when asked.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae.async_client import AsyncClient
    from vae.client import Client

    __version__: str

__all__ = ["AsyncClient", "Client", "__version__"]

_MODULES = {"AsyncClient": "vae.async_client", "Client": "vae.client"}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("vaeserve")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
