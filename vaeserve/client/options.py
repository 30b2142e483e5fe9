"""Options: the keywords of calls and of connections, each written down once.

The functions of `calls` have the defaults; the methods of `Client` say what each option means.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict

from vaeserve.rows.size_fit import SizeFit

Size = tuple[int, int]
"""Height and width of a picture, in pixels."""
EncodeOutput = Literal["mean", "sample", "moments", "codes"]
ReconstructLatent = Literal["mean", "sample"]
DecodeOutput = Literal["data", "expectation", "png"]
FloatType = Literal["float32", "float16"]


class ConnectionOptions(TypedDict, total=False):
    """How a server is reached, beside the target: the security of the connection, and the class of its calls."""

    token: str | None
    tls: bool
    root_certificates: str | Path | None
    client_certificate: str | Path | None
    client_key: str | Path | None
    bulk: bool


class ClientOptions(ConnectionOptions, total=False):
    """What `Client` takes beside the target."""

    timeout_seconds: float


class ModelOptions(TypedDict, total=False):
    """What every call takes."""

    dtype: FloatType
    model: str
    version: int


class EncodeOptions(ModelOptions, total=False):
    """What `encode` takes beside the data."""

    output: EncodeOutput
    seed: int | None
    first_row: int
    fit: SizeFit


class DecodeOptions(ModelOptions, total=False):
    """What `decode` takes beside the latents."""

    output: DecodeOutput
    fingerprint: str | None
    codes: bool | None


class DrawOptions(ModelOptions, total=False):
    """What `sample` takes beside which rows."""

    temperature: float | None
    prior: str
    size: Size | None
    output: DecodeOutput
    include_latent: bool


class SampleOptions(DrawOptions, total=False):
    """What `sample` takes beside the count."""

    seed: int | None
    first_row: int


class ReconstructOptions(ModelOptions, total=False):
    """What `reconstruct` takes beside the data."""

    latent: ReconstructLatent
    seed: int | None
    first_row: int
    output: DecodeOutput
    fit: SizeFit


def refuse_unknown(method: str, options: Iterable[str], known: type) -> None:
    """Raises TypeError, as Python does, for an option that a method does not take."""
    for name in options:
        if name not in known.__annotations__:
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
