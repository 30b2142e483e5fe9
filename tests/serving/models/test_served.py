"""How long a model lasts that is no longer served."""

import asyncio

import numpy as np
import pytest

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import load
from serving.models.served import serve_model
from serving.settings import Settings
from vaeserve.errors import ShuttingDown


def test_a_model_in_use_lasts_until_its_last_user_has_left(settings: Settings) -> None:
    rows = LatentRows(np.zeros((2, 3), np.float32), "data")

    async def run() -> None:
        served = serve_model(load(settings.package, settings), Device(), settings)
        with served as outer, outer:
            closing = asyncio.create_task(served.close())
            for _ in range(5):  # more turns than it takes to close a model that nobody uses
                await asyncio.sleep(0)
            assert not closing.done()
            [answer] = (await outer.decoder.submit(rows)).parts
            assert answer.output.shape == (2, 4, 4, 1)
        await closing
        with pytest.raises(ShuttingDown):
            await served.decoder.submit(rows)

    asyncio.run(run())
