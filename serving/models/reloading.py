"""Reloading: keeps the served models in line with the repository. A bad package never replaces a good one."""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path

from serving.batching.device import Device
from serving.engine.providers import providers
from serving.models.limited import run_limited
from serving.models.loading import BREATH_SECONDS, ProvedModel, load
from serving.models.refusals import Refusals
from serving.models.registry import Models
from serving.models.repository import Found, ModelKey, Repository
from serving.models.served import Served, serve_model
from serving.settings import Settings
from vaeserve.errors import EngineFailure, PackageError, StartupError, VaeError

_log = logging.getLogger(__name__)


class Reloads:
    """How often packages were taken and refused, including those at the start."""

    def __init__(self) -> None:
        self.ok: Counter[str] = Counter()
        """By the model's name."""
        self.failed: Counter[str] = Counter()
        """By the model's name, or the directory's if the manifest is not understood."""
        self.refusals = Refusals(self.failed)
        """The packages that are refused now."""


class Reloader:
    """Loads packages, one at a time on a thread, and swaps them in.

    Args:
        settings: names the repository, and how many versions of a name are served.
        models: where the models are put.
        device: what runs them.
    """

    def __init__(self, settings: Settings, models: Models, device: Device) -> None:
        self.reloads = Reloads()
        self.broken = asyncio.Event()
        """Set when a batcher died. The server must stop then."""
        self._settings = settings
        self.repository = Repository(settings.package)
        """Where packages are looked for."""
        self._models = models
        self._device = device
        self._held: dict[ModelKey, Found] = {}  # the packages that the served models were made of
        self._refusals = self.reloads.refusals
        self._forgets = False
        self._wanted = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Loads the packages that there are. Bad packages beside good ones are logged.

        With `wait_for_package` it returns once there is a good one.

        Raises:
            PackageError: there is no good package, and nothing says to wait for one.
            StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
        """
        await asyncio.to_thread(providers, self._settings.provider)  # raises StartupError before any package is read
        await self.catch_up()
        while not self._held:
            error = self._refusals.as_error(self._settings.package)
            if not self._settings.wait_for_package or isinstance(error, StartupError):
                raise error
            if not self._refusals.are_logged:
                self._refusals.log()
                _log.warning("waiting: %s holds no package that can be served", self._settings.package)
            await self._look_again()
        self._models.loaded()
        self._refusals.log()

    async def catch_up(self) -> None:
        """Serves what the repository holds now. It must not be called while another call runs."""
        if self._forgets:
            self._forgets = False
            self._refusals.clear()
            self.repository.forget()
        packages, unreadable = await self.repository.look_on_thread()
        self._refusals.keep({one.directory for one in packages} | {one.directory for one in unreadable})
        for one in unreadable:
            self._refusals.add(one.directory, self._name_at(one.directory), one.stamp, PackageError(one.reason))
        newest_first = sorted(packages, key=lambda package: package.key, reverse=True)
        kept: set[ModelKey] = set()
        for _, versions in groupby(newest_first, lambda package: package.key[0]):
            kept |= await self._take_versions(list(versions))
        for key in self._held.keys() - kept:
            if not self._refusals.covers(self._held[key].directory):
                self._remove(key)

    async def run(self) -> None:
        """Follows the repository until it is cancelled."""
        while True:
            await self._look_again()

    async def _look_again(self) -> None:
        """Serves what the repository holds at the next look. A failure of the look itself is logged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.repository.pause_seconds if self._settings.watch == "on" else None):
                await self._wanted.wait()
        self._wanted.clear()
        try:
            await self.catch_up()
        except Exception:
            _log.exception("looking for packages in %s failed. This is a bug.", self._settings.package)

    def reload(self) -> None:
        """Makes `run` look again as soon as it can, and retry the packages that it refused."""
        self._forgets = True
        self._wanted.set()

    async def _take_versions(self, packages: Iterable[Found]) -> set[ModelKey]:
        """Serves the newest good packages of one name, which come newest first, and returns which they are."""
        kept: set[ModelKey] = set()
        for key, same in groupby(packages, lambda package: package.key):
            if len(kept) == self._settings.versions:
                break
            if await self._take_one(key, list(same)):
                kept.add(key)
        return kept

    async def _take_one(self, key: ModelKey, same: list[Found]) -> bool:
        """Serves the oldest good package of those with one name and version. Returns whether the model is served.

        So the choice does not depend on which package came first: a restarted server, or another server of the same
        packages, chooses the same one.
        """
        held = self._held.get(key)
        at = held.directory if held else None
        oldest_first = sorted(same, key=lambda one: (one.created_at, one.directory != at, one.directory))
        for place, package in enumerate(oldest_first):
            if await self._take(key, package):
                for other in oldest_first[place + 1 :]:
                    self._refusals.add(other.directory, key[0], None, _duplicate(package, other))
                return True
        return held is not None

    async def _take(self, key: ModelKey, package: Found) -> bool:
        """Serves a package, unless it is bad or was tried already. Returns whether it is served."""
        held = self._held.get(key)
        if held is not None and held.stamp == package.stamp:
            self._held[key] = package  # its directory may have been renamed
            return True
        if not self._refusals.has(package.directory, package.stamp):
            try:
                self._put(package, await self._load(package))
            except VaeError as exc:
                self._refusals.add(package.directory, key[0], package.stamp, exc)
            else:
                return True
        return False

    async def _load(self, package: Found) -> ProvedModel:
        try:
            breath_seconds = BREATH_SECONDS if any(self._models) else 0.0
            earlier = self._newest(package.key[0])
            work = partial(load, package.directory, self._settings, earlier, breath_seconds=breath_seconds)
            proved = await run_limited(f"loading {package.directory}", work, self._settings.load_seconds)
        except VaeError:
            raise
        except Exception as exc:
            _log.exception("loading %s failed", package.directory)
            raise EngineFailure("loading it failed") from exc
        if (proved.manifest.name, proved.manifest.version) != package.key:
            raise PackageError(f"{package.directory} was replaced while it was loaded")
        return proved

    def _newest(self, name: str) -> ProvedModel | None:
        """Returns the newest served version of a model."""
        served = [one for one in self._models if one.key[0] == name]
        return max(served, key=lambda one: one.key).proved if served else None

    def _put(self, package: Found, proved: ProvedModel) -> None:
        served = serve_model(proved, self._device, self._settings)
        for batcher in served.batchers.values():
            batcher.worker.add_done_callback(lambda worker: None if worker.cancelled() else self.broken.set())
        replaced = self._models.put(served)
        if replaced:
            self._close(replaced)
        self._held[package.key] = package
        self._refusals.remove(package.directory)
        self.reloads.ok[package.key[0]] += 1
        _log.info("serving %s version %d, %s", *package.key, package.directory)

    def _remove(self, key: ModelKey) -> None:
        self._close(self._models.remove(key))
        package = self._held.pop(key)
        _log.info("no longer serving %s version %d, %s", *key, package.directory)

    def _close(self, served: Served) -> None:
        """Stops a model once its calls are done. Until then the task keeps it alive."""
        closing = asyncio.create_task(served.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closed)

    def _closed(self, closing: "asyncio.Task[None]") -> None:
        """Frees a model's memory. Cycles of tasks hold its last answers, and with them its sessions."""
        self._closing.discard(closing)
        if not closing.cancelled() and closing.exception():
            _log.error("a model that is no longer served did not close. This is a bug.", exc_info=closing.exception())
        gc.collect()

    def _name_at(self, directory: Path) -> str:
        names = (key[0] for key, held in self._held.items() if held.directory == directory)
        return next(names, directory.name.encode(errors="backslashreplace").decode())  # a label must be UTF-8


def _duplicate(taken: Found, other: Found) -> PackageError:
    name, version = other.key
    return PackageError(
        f"{taken.directory}, which is older, is {name} version {version} already: "
        "give this one a version of its own (`--version next` of `vae export`, `vae import` or `vae package`), or "
        "remove one of the two"
    )
