"""The tiny model as parsers see it, and what they say of a field that is wrong."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from serving.models.loaded import CallLimits
from serving.vae_v1.rpc import AnyRowsRpc
from vaeserve.errors import InvalidInput
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

CALL_ROWS = 100
LIMITS = CallLimits(CALL_ROWS, request_bytes=2**20, batch_rows=64)
DATA = np.random.default_rng(0).integers(0, 17, (5, 4, 4, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def manifest(tiny: Path) -> Manifest:
    """The tiny model: images [4, 4, 1] of counts 0..16, three latents, a Gaussian posterior."""
    return ModelPackage.open(tiny).manifest


@pytest.fixture(scope="session")
def meager(manifest: Manifest) -> Manifest:
    """The same model with a mean only, and rows that are not pictures."""
    table = manifest.data.model_copy(update={"kind": "table", "axes": (16,)})
    return manifest.model_copy(update={"posterior": "none", "data": table})


def refusal(rpc: AnyRowsRpc, request: Message, manifest: Manifest) -> tuple[str, str]:
    """Returns the field that a parser finds at fault, and what is wrong with it."""
    with pytest.raises(InvalidInput) as refused:
        rpc.parse(request, manifest, LIMITS)
    return refused.value.field, refused.value.description


def message_of(rows: Array, **fields: object) -> pb.Tensor:
    """Returns rows as a message some of whose fields are wrong."""
    tensor = to_message(rows)
    tensor.MergeFrom(pb.Tensor(**{name: value for name, value in fields.items() if name != "shape"}))  # type: ignore[arg-type]
    if "shape" in fields:
        tensor.ClearField("shape")
        tensor.shape.extend(fields["shape"])  # type: ignore[arg-type]  # a list of integers
    return tensor


def changed(rows: Array, index: tuple[int, ...], value: float) -> pb.Tensor:
    """Returns rows as a message, one value of which is another."""
    copy = rows.copy()
    copy[index] = value
    return to_message(copy)
