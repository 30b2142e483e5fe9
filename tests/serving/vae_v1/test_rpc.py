"""How an RPC that takes rows is answered: what its images cost counts against its deadline."""

import asyncio
from typing import Any, cast

import numpy as np
import pytest

from serving.vae_v1.encode import Encode
from serving.vae_v1.images import Images
from serving.vae_v1.inputs import Undecoded
from vaeserve.errors import DeadlinePassed
from vaeserve.package.row_spec import Array
from vaeserve.v1 import vae_pb2 as pb


class SlowImages:
    """Decodes for longer than the caller waits."""

    async def decode(self, *_: object) -> Array:
        await asyncio.sleep(0.002)
        return np.zeros((1, 2), np.uint8)


class Unasked:
    """A model whose queue nobody may come to."""

    manifest: Any = type("Manifest", (), {"data": None})


def test_images_that_take_longer_than_the_deadline_never_run() -> None:
    rows: Undecoded[Any] = Undecoded([b""], "images", lambda data, _: data)
    answer = Encode().respond(
        pb.EncodeRequest(), rows, cast(Any, Unasked()), cast(Images, SlowImages()), 0.001, size=1, bulk=False
    )
    with pytest.raises(DeadlinePassed, match="while the images were decoded"):
        asyncio.run(answer)
