"""Served: a model that takes calls, whatever the protocol."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from serving.batching.batcher import Batcher
from serving.batching.call import A, R
from serving.batching.device import Device
from serving.batching.executor import RunBatch
from serving.engine.providers import Provider
from serving.engine.rows import (
    DataRows,
    DecodeResult,
    EncodeResult,
    LatentRows,
    PriorRows,
    ReconstructResult,
    ReconstructRows,
)
from serving.models.exactness import Exactness
from serving.models.execution import Execution
from serving.models.loading import ProvedModel
from serving.models.repository import ModelKey
from serving.settings import Settings
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import RowSpec

_SCORE_BYTES = 16  # of Reconstruct, a row
_PNG_BYTES = 72  # what the header, the checksums and the compressor add to a small image


class CallLimits(NamedTuple):
    """CallLimits on one call."""

    call_rows: int
    """Maximum rows in a call."""
    request_bytes: int
    """Maximum length of a request."""
    batch_rows: int
    """Maximum rows that run in one batch."""


@dataclass(eq=False, slots=True)
class Served:
    """A model that takes calls. Inside `with served:` it stays, whatever takes its place meanwhile."""

    manifest: Manifest
    provider: Provider
    execution: Execution
    exactness: Exactness
    row_seconds: float
    """Time that a row takes in a full batch which runs every graph."""
    limits: CallLimits
    encoder: Batcher[DataRows, EncodeResult]
    decoder: Batcher[LatentRows | PriorRows, DecodeResult]
    reconstructor: Batcher[ReconstructRows, ReconstructResult]
    is_default: bool = False
    """Whether requests that name this model, and no version, get this one."""
    _users: int = 0
    _unused: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._unused.set()

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def hold(self) -> None:
        """Keeps the model until it is released as often as it was held."""
        self._users += 1
        self._unused.clear()

    def release(self, *_: object) -> None:
        """Lets the model go, once something else has taken its place."""
        self._users -= 1
        if not self._users:
            self._unused.set()

    @property
    def key(self) -> ModelKey:
        """The model's name and version."""
        return self.manifest.name, self.manifest.version

    @property
    def batchers(self) -> Mapping[str, Batcher[Any, Any]]:
        """Every batcher, by what it runs."""
        return {"encoder": self.encoder, "decoder": self.decoder, "reconstructor": self.reconstructor}

    async def close(self) -> None:
        """Stops the model once nobody uses it any more."""
        await self._unused.wait()
        for batcher in self.batchers.values():
            await batcher.close()


def serve_model(proved: ProvedModel, device: Device, settings: Settings) -> Served:
    """Puts batchers in front of a model's engine."""
    manifest, engine, execution = proved.manifest, proved.engine, proved.execution
    call_rows = _call_rows(manifest, settings)

    def batcher(run: RunBatch[R, A], spec: RowSpec) -> Batcher[R, A]:
        return Batcher(
            run,
            device,
            batch_rows=execution.batch_rows,
            queue_rows=max(call_rows, min(settings.queue_rows, settings.queue_bytes // spec.bytes_of(1))),
            width=max(1, device.slots // execution.executors),
            wait_seconds=settings.wait_milliseconds / 1000,
        )

    return Served(
        manifest=manifest,
        provider=proved.provider,
        execution=execution,
        exactness=proved.exactness,
        row_seconds=proved.row_seconds,
        limits=CallLimits(call_rows, settings.message_bytes, execution.batch_rows),
        encoder=batcher(engine.encode, manifest.data),
        decoder=batcher(engine.decode, manifest.latent),
        reconstructor=batcher(engine.reconstruct, manifest.data),
    )


def _call_rows(manifest: Manifest, settings: Settings) -> int:
    """Returns the maximum of rows in a call: fewer than the setting where a reply of wide rows would be too long."""
    data, widest = manifest.data, manifest.data.bytes_of(1, "float32")
    if data.kind == "image":  # a small image is longer as a PNG: a byte a line, and what surrounds it
        widest = max(widest, data.size + data.shape[0] + _PNG_BYTES)
    reply_row_bytes = max(widest + manifest.latent.bytes_of(1) + _SCORE_BYTES, 2 * manifest.latent.bytes_of(1))
    return max(1, min(settings.call_rows, settings.message_bytes // reply_row_bytes))
