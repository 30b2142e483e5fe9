"""Served: a model that takes calls, whatever the protocol."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from serving.batching.batcher import INLINE_SECONDS, Batcher
from serving.batching.call import A, R
from serving.batching.device import Device
from serving.batching.executor import LONE_SECONDS, RunBatch
from serving.engine.rows import (
    DataRows,
    DecodeResult,
    EncodeResult,
    LatentRows,
    PriorRows,
    ReconstructResult,
    ReconstructRows,
)
from serving.models.loaded import LoadedModel, call_limits
from serving.models.loading import ProvedModel
from serving.models.row_memory import SizedGraph
from serving.settings import Settings
from vaeserve.machine.cpus import available_cpus
from vaeserve.package.row_spec import RowSpec
from vaeserve.package.sizes import PictureSize


@dataclass(eq=False, slots=True, kw_only=True)
class Served(LoadedModel):
    """A model that takes calls. Inside `with served:` it stays, whatever takes its place meanwhile."""

    encoder: Batcher[DataRows, EncodeResult]
    decoder: Batcher[LatentRows | PriorRows, DecodeResult]
    reconstructor: Batcher[ReconstructRows, ReconstructResult]
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
    limits = call_limits(proved, settings)

    def batcher(run: RunBatch[R, A], spec: RowSpec, *graphs: SizedGraph) -> Batcher[R, A]:
        weigh, sizes = proved.weigher(*graphs), manifest.data.sizes
        heaviest = 1 if sizes is None else weigh(PictureSize(sizes.maximum, sizes.maximum))
        queue_rows = min(settings.queue_rows, settings.queue_bytes // spec.smallest.bytes_of(1))
        return Batcher(
            run,
            device,
            batch_rows=execution.batch_rows,
            queue_rows=max(limits.call_rows, queue_rows, heaviest),
            weigh=weigh,
            width=max(1, device.slots // execution.executors),
            wait_seconds=settings.wait_milliseconds / 1000,
            inline_seconds=LONE_SECONDS if available_cpus() == 1 else INLINE_SECONDS,
        )

    return Served(
        proved=proved,
        limits=limits,
        encoder=batcher(engine.encode, manifest.data, "encoder"),
        decoder=batcher(engine.decode, manifest.latent, "decoder"),
        reconstructor=batcher(engine.reconstruct, manifest.data, "encoder", "decoder"),
    )
