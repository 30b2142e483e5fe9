"""How long a model lasts that is no longer served."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import load
from serving.models.served import serve_model
from serving.settings import Settings
from tests.serving.conftest import submit
from tests.support.make_free_package import decode
from vaeserve.errors import ShuttingDown
from vaeserve.package.sizes import PictureSize


def test_a_model_in_use_lasts_until_its_last_user_has_left(settings: Settings) -> None:
    rows = LatentRows(np.zeros((2, 3), np.float32), "data")

    async def run() -> None:
        served = serve_model(load(settings.package, settings), Device(), settings)
        with served as outer, outer:
            closing = asyncio.create_task(served.close())
            for _ in range(5):  # more turns than it takes to close a model that nobody uses
                await asyncio.sleep(0)
            assert not closing.done()
            [answer] = (await submit(outer.decoder, rows)).parts
            assert answer.output.shape == (2, 4, 4, 1)
        await closing
        with pytest.raises(ShuttingDown):
            await submit(served.decoder, rows)

    asyncio.run(run())


def test_a_queue_holds_as_much_as_the_largest_picture(free: Path, settings: Settings) -> None:
    few = settings.model_copy(update={"queue_rows": 2, "call_rows": 2})
    latents = {PictureSize(8 * side, 8 * side): np.zeros((1, 4, side, side), np.float32) for side in (2, 16)}

    async def run() -> None:
        served = serve_model(load(free, few), Device(), few)
        calls = [LatentRows(latent, "data", size) for size, latent in latents.items()]  # count as 1, and as 64
        answers = await asyncio.gather(*(submit(served.decoder, rows) for rows in calls))
        assert [answer.parts[0].output.shape[1] for answer in answers] == [16, 128]
        await served.close()

    asyncio.run(run())


def test_pictures_of_several_sizes_are_answered_side_by_side(free: Path, settings: Settings) -> None:
    sizes = [PictureSize(16, 16), PictureSize(24, 32), PictureSize(256, 256)]
    latents = {size: np.full((3, 4, size.height // 8, size.width // 8), 0.1, np.float32) for size in sizes}

    async def run() -> None:
        served = serve_model(load(free, settings.model_copy(update={"batch_rows": 4})), Device(), settings)
        calls = [LatentRows(latents[size], "expectation", size) for size in sizes * 3]
        answers = await asyncio.gather(*(submit(served.decoder, rows) for rows in calls))
        for rows, answer in zip(calls, answers, strict=True):
            output = np.concatenate([part.output for part in answer.parts])
            np.testing.assert_allclose(output, decode(rows.latent), rtol=1e-5)
            assert answer.batch_rows <= (1 if rows.size == sizes[2] else 4)
        await served.close()

    asyncio.run(run())
