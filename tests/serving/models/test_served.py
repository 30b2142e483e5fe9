"""What a served model says of itself, and how long a model lasts that is no longer served."""

import asyncio

import numpy as np
import pytest

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import ProvedModel, load
from serving.models.served import serve_model
from serving.settings import Settings
from vaeserve.errors import ShuttingDown


@pytest.fixture
def proved(settings: Settings) -> ProvedModel:
    return load(settings.package, settings)


def test_a_model_in_use_lasts_until_its_last_user_has_left(settings: Settings, proved: ProvedModel) -> None:
    rows = LatentRows(np.zeros((2, 3), np.float32), "data")

    async def run() -> None:
        served = serve_model(proved, Device(), settings)
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


def test_a_model_is_neutral_and_says_where_it_comes_from(settings: Settings, proved: ProvedModel) -> None:
    async def run() -> None:
        served = serve_model(proved._replace(row_seconds=0.7), Device(), settings)
        assert served.key == ("tiny", 1)
        assert served.manifest is proved.manifest
        assert (served.provider, served.row_seconds, served.is_default) == ("cpu", 0.7, False)
        assert served.limits == (16_384, settings.message_bytes, 64)

    asyncio.run(run())


def test_a_call_of_wide_rows_holds_fewer_of_them(settings: Settings, proved: ProvedModel) -> None:
    async def run() -> None:
        narrow = settings.model_copy(update={"message_bytes": 1000})
        row_bytes = max(4 * 16, 16 + 4 + 72) + 4 * (3 + 4)  # as a PNG file a small image is longer
        assert serve_model(proved, Device(), narrow).limits.call_rows == 1000 // row_bytes

    asyncio.run(run())
