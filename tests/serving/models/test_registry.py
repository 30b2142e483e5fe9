"""Which model a request gets, and how long a model lasts that is no longer served."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serving.batching.device import Device
from serving.models.loading import ProvedModel, load
from serving.models.registry import Models
from serving.models.served import Served, serve_model
from serving.settings import Settings
from vaeserve.errors import InvalidInput, NotReady, UnknownName

Make = Callable[..., Served]


def _with_models(
    settings: Settings, use: Callable[[Models, Make], Awaitable[None]], default_name: str = "", *, loaded: bool = True
) -> None:
    """Runs a test on a loop, with a maker of served models of any name and version."""
    proved = load(settings.package, settings)

    async def run() -> None:
        device = Device()

        def make(name: str, version: int) -> Served:
            manifest = proved.manifest.model_copy(update={"name": name, "version": version})
            return serve_model(ProvedModel(manifest, *proved[1:]), device, settings)

        models = Models(default_name)
        if loaded:
            models.loaded()
        await use(models, make)

    asyncio.run(run())


def test_knows_the_only_model(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        first = make("a", 1)
        models.put(first)
        seen = [models.only]
        models.loaded()
        seen.append(models.only)
        models.put(make("a", 2))
        seen.append(models.only)
        models.remove(("a", 2))
        assert [*seen, models.only] == [None, first, None, first]  # while they are loaded, others may still come

    _with_models(settings, use, loaded=False)


def test_says_so_while_nothing_is_loaded() -> None:
    with pytest.raises(NotReady, match="still being loaded"):
        Models().find("", 0)
    with pytest.raises(NotReady, match="still being loaded"):
        Models().all()


def test_until_all_are_loaded_a_missing_model_is_still_to_come(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        models.put(make("b", 1))
        assert models.find("b", 0).key == ("b", 1)
        for name in ("a", ""):  # b is the only one so far, but not for long
            with pytest.raises(NotReady, match="still being loaded"):
                models.find(name, 0)
        with pytest.raises(NotReady, match="still being loaded"):
            models.all()
        models.loaded()
        assert models.find("", 0).key == ("b", 1)
        with pytest.raises(UnknownName):
            models.find("a", 0)

    _with_models(settings, use, loaded=False)


def test_the_newest_version_is_the_default_and_older_ones_can_be_asked_for(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        served = {version: make("a", version) for version in (2, 10, 1)}
        for one in served.values():
            assert models.put(one) is None
        for name in ("", "a"):
            assert models.find(name, 0) is served[10]
            assert models.find(name, 1) is served[1]
        assert [(model.manifest.version, model.is_default) for model in models.all()] == [
            (1, False),
            (2, False),
            (10, True),
        ]
        assert models.remove(("a", 10)) is served[10]
        assert models.find("", 0) is served[2]
        assert [model.is_default for model in models.all()] == [False, True]
        with pytest.raises(UnknownName, match=r"^version 10 is not served here; a version 1, a version 2 are$"):
            models.find("", 10)

    _with_models(settings, use)


def test_of_several_names_one_must_be_named(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        for name, version in (("b", 1), ("a", 2), ("a", 1)):
            models.put(make(name, version))
        assert [(*m.key, m.is_default) for m in models.all()] == [
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
        assert [model.is_default for model in models.all()] == [False]
        for version in (1, 2):
            models.put(make("b", version))
        models.put(make("c", 3))
        assert models.find("", 0).key == ("b", 2)
        assert models.find("", 1).key == ("b", 1)
        assert models.find("a", 0).key == ("a", 1)
        assert [m.key for m in models.all() if m.is_default] == [("b", 2)]
        with pytest.raises(
            UnknownName, match=r"^the default model 'b' version 3 is not served here; a version 1, b version 1, "
        ):
            models.find("", 3)
        models.remove(("b", 2))
        assert models.find("", 0).key == ("b", 1)
        assert [m.key for m in models.all() if m.is_default] == [("b", 1)]

    _with_models(settings, use, "b")


def test_nothing_is_served_after_the_last_is_removed(settings: Settings) -> None:
    async def use(models: Models, make: Make) -> None:
        models.put(make("a", 1))
        models.remove(("a", 1))
        assert models.all() == []
        with pytest.raises(UnknownName, match=r"^a model is not served here; nothing is$"):
            models.find("", 0)

    _with_models(settings, use)
