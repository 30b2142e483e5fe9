"""Which model a request gets, and how long a model lasts that is no longer served."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import Proved, load
from serving.models.registry import Models, Served, serve
from serving.settings import Settings
from serving.vae_v1.sample_stream import messages
from vaeserve.errors import InvalidInput, NotReady, ShuttingDown, UnknownName
from vaeserve.v1 import vae_pb2 as pb

Make = Callable[..., Served]


def _with_models(settings: Settings, use: Callable[[Models, Make], Awaitable[None]], default_name: str = "") -> None:
    """Runs a test on a loop, with a maker of served models of any name and version."""
    proved = load(settings.package, settings)

    async def run() -> None:
        device = Device()

        def make(name: str, version: int) -> Served:
            manifest = proved.manifest.model_copy(update={"name": name, "version": version})
            return serve(Proved(manifest, *proved[1:]), device, settings)

        await use(Models(default_name), make)

    asyncio.run(run())


def test_says_so_while_nothing_is_loaded() -> None:
    with pytest.raises(NotReady, match="still being loaded"):
        Models().find("", 0)
    with pytest.raises(NotReady, match="still being loaded"):
        Models().describe()


def test_the_newest_version_is_the_default_and_older_ones_can_be_asked_for(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        served = {version: make("a", version) for version in (2, 10, 1)}
        for one in served.values():
            assert models.put(one) is None
        for name in ("", "a"):
            assert models.find(name, 0) is served[10]
            assert models.find(name, 1) is served[1]
        assert [(model.version, model.is_default) for model in models.describe()] == [
            (1, False),
            (2, False),
            (10, True),
        ]
        assert models.remove(("a", 10)) is served[10]
        assert models.find("", 0) is served[2]
        assert [model.is_default for model in models.describe()] == [False, True]
        with pytest.raises(UnknownName, match=r"^version 10 is not served here; a version 1, a version 2 are$"):
            models.find("", 10)

    _with_models(settings, use)


def test_of_several_names_one_must_be_named(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        for name, version in (("b", 1), ("a", 2), ("a", 1)):
            models.put(make(name, version))
        assert [(m.name, m.version, m.is_default) for m in models.describe()] == [
            ("a", 1, False),
            ("a", 2, True),
            ("b", 1, True),
        ]
        assert models.find("a", 0).key == ("a", 2)
        for version in (0, 1):
            with pytest.raises(InvalidInput, match=r"^model: is empty, and there are several: name one of a, b$"):
                models.find("", version)
        with pytest.raises(
            UnknownName, match=r"model 'c' is not served here; a version 1, a version 2, b version 1 are"
        ):
            models.find("c", 0)

    _with_models(settings, use)


def test_who_names_no_model_gets_the_default(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        models.put(make("a", 1))
        said = r"^the default model 'b' is not served here; a version 1 is$"
        with pytest.raises(UnknownName, match=said):  # not the only one: callers mean the other
            models.find("", 0)
        assert [model.is_default for model in models.describe()] == [False]
        for version in (1, 2):
            models.put(make("b", version))
        models.put(make("c", 3))
        assert models.find("", 0).key == ("b", 2)
        assert models.find("", 1).key == ("b", 1)
        assert models.find("a", 0).key == ("a", 1)
        assert [(m.name, m.version) for m in models.describe() if m.is_default] == [("b", 2)]
        with pytest.raises(
            UnknownName, match=r"^the default model 'b' version 3 is not served here; a version 1, b version 1, "
        ):
            models.find("", 3)
        models.remove(("b", 2))
        assert models.find("", 0).key == ("b", 1)
        assert [(m.name, m.version) for m in models.describe() if m.is_default] == [("b", 1)]

    _with_models(settings, use, "b")


def test_nothing_is_served_after_the_last_is_removed(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        models.put(make("a", 1))
        models.remove(("a", 1))
        assert models.describe() == []
        with pytest.raises(UnknownName, match=r"^a model is not served here; nothing is$"):
            models.find("", 0)

    _with_models(settings, use)


def test_who_uses_a_model_has_it_to_the_end(settings: Settings) -> None:
    rows = LatentRows(np.zeros((2, 3), np.float32), "data")

    async def use(models: Models, make: Make) -> None:
        old, new = make("a", 1), make("a", 1)
        models.put(old)
        with models.find("a", 1) as outer, outer:
            assert models.put(new) is old
            closing = asyncio.create_task(old.close())
            await asyncio.sleep(0.05)
            [answer] = (await outer.decoder.submit(rows)).parts
            assert answer.output.shape == (2, 4, 4, 1)
        assert models.find("a", 1) is new
        await closing
        with pytest.raises(ShuttingDown):
            await old.decoder.submit(rows)
        await new.decoder.submit(rows)

    _with_models(settings, use)


def test_a_description_tells_how_long_a_row_takes(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        proved = load(settings.package, settings)
        assert 0 < proved.row_seconds < 1
        served = serve(proved._replace(row_seconds=0.7), Device(), settings)
        assert served.description.execution.row_microseconds == 700_000

    _with_models(settings, use)


@pytest.mark.parametrize(
    ("row_seconds", "asked", "expected"), [(0.2, 0, [5, 5, 2]), (3.0, 0, [1] * 12), (3.0, 8, [8, 4])]
)
def test_a_sample_streams_messages_hold_about_a_second(
    settings: Settings, row_seconds: float, asked: int, expected: list[int]
) -> None:
    async def use(models: Models, make: Make) -> None:
        served = serve(load(settings.package, settings)._replace(row_seconds=row_seconds), Device(), settings)
        request = pb.SampleStreamRequest(request=pb.SampleRequest(count=12), message_rows=asked)
        assert [len(rows) for rows in messages(request, served)] == expected

    _with_models(settings, use)
