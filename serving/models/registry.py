"""The models that are served, by name and version."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Self

import numpy as np

from serving.batching.batcher import Batcher
from serving.batching.call import A, R
from serving.batching.device import Device
from serving.batching.executor import Run
from serving.engine.rows import DataRows, Decoded, Encoded, LatentRows, PriorRows, Reconstructed, ReconstructRows
from serving.models.execution import Execution
from serving.models.loading import Proved
from serving.models.repository import Key
from serving.settings import Settings
from serving.vae_v1.requests import Accepts
from vaeserve.errors import InvalidInput, NotReady, UnknownName
from vaeserve.package.manifest import Graph, ImageFit, Manifest, TensorSpec
from vaeserve.rows.noise import ALGORITHM
from vaeserve.rows.tensors import DATA_TYPES
from vaeserve.v1 import vae_pb2 as pb

_MOST_NAMED = 16  # models that an error lists

_PNG_BYTES = 72  # what the header, the checksums and the compressor add to a small image


@dataclass(eq=False, slots=True)
class Served:
    """A model that takes calls. In `with served:` it is there to the end, whatever takes its place."""

    accepts: Accepts
    description: pb.Model
    execution: Execution
    encoder: Batcher[DataRows, Encoded]
    decoder: Batcher[LatentRows | PriorRows, Decoded]
    reconstructor: Batcher[ReconstructRows, Reconstructed]
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
        """Keeps it there until it is released as often."""
        self._users += 1
        self._unused.clear()

    def release(self, *_: object) -> None:
        """Lets it go when something else takes its place."""
        self._users -= 1
        if not self._users:
            self._unused.set()

    @property
    def key(self) -> Key:
        """Its name and version."""
        return self.description.name, self.description.version

    @property
    def batchers(self) -> Mapping[str, Batcher[Any, Any]]:
        """All of them, by what they run."""
        return {"encoder": self.encoder, "decoder": self.decoder, "reconstructor": self.reconstructor}

    async def close(self) -> None:
        """Stops once nobody uses it any more."""
        await self._unused.wait()
        for batcher in self.batchers.values():
            await batcher.close()


class Models:
    """The models being served. Empty while the first is loaded, and after the last is removed.

    Args:
        default_name: of the model for requests that name none; if empty, they get the only one.
    """

    def __init__(self, default_name: str = "") -> None:
        self._default_name = default_name
        self._served: dict[Key, Served] = {}
        self._asked: dict[Key, Served] = {}  # by what requests may say: no name for the default, version 0 for newest
        self._is_loading = True

    def put(self, served: Served) -> Served | None:
        """Serves a model from now on; returns the one of its name and version that no longer is."""
        replaced = self._served.get(served.key)
        self._served[served.key] = served
        self._is_loading = False
        self._index()
        return replaced

    def remove(self, key: Key) -> Served:
        """Serves a model no longer, and returns it."""
        removed = self._served.pop(key)
        self._index()
        return removed

    def find(self, name: str, version: int) -> Served:
        """Returns a model; an empty name means the default, or without one the only one, and version 0 the newest.

        Raises:
            InvalidInput: the name is empty, there is no default, and models of several names are served.
            UnknownName: it is not served.
            NotReady: the models are still being loaded.
        """
        served = self._asked.get((name, version))
        if served is None:
            raise self._unknown(name, version)
        return served

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._served.values()))

    def describe(self) -> list[pb.Model]:
        """Returns the description of every model, ordered by name, then version.

        Raises:
            NotReady: the models are still being loaded.
        """
        if self._is_loading:
            raise NotReady("the model is still being loaded")
        return [served.description for _, served in sorted(self._served.items())]

    def _index(self) -> None:
        self._asked = dict(self._served)
        names = {name for name, _ in self._served}
        default = self._default_name or (next(iter(names)) if len(names) == 1 else "")
        for name in names:
            versions = {version: served for (other, version), served in self._served.items() if other == name}
            self._asked[name, 0] = versions[max(versions)]
            for version, served in versions.items():
                served.description.is_default = version == max(versions) and self._default_name in ("", name)
            if name == default:
                self._asked |= {("", version): served for version, served in versions.items()}
                self._asked["", 0] = self._asked[name, 0]

    def _unknown(self, name: str, version: int) -> InvalidInput | UnknownName:
        described = self.describe()
        names = sorted({model.name for model in described})
        if not name and not self._default_name and len(names) > 1:
            return InvalidInput("model", f"is empty, and there are several: name one of {_listed(names)}")
        model = f"model {name[:128]!r}" if name else f"the default model {self._default_name!r}"
        asked = " ".join([model] * bool(name or self._default_name) + [f"version {version}"] * bool(version))
        here = _listed([f"{model.name} version {model.version}" for model in described])
        verb = "are" if len(described) > 1 else "is"
        return UnknownName(f"{asked or 'a model'} is not served here; {here or 'nothing'} {verb}")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def serve(proved: Proved, device: Device, settings: Settings) -> Served:
    """Puts batchers before a model's engine."""
    manifest, engine, execution = proved.manifest, proved.engine, proved.execution
    call_rows = _call_rows(manifest, settings)
    limits = pb.Limits(call_rows=call_rows, request_bytes=settings.message_bytes, batch_rows=execution.batch_rows)

    def batcher(run: Run[R, A], graph: Graph) -> Batcher[R, A]:
        return Batcher(
            run,
            device,
            batch_rows=execution.batch_rows,
            queue_rows=max(call_rows, min(settings.queue_rows, settings.queue_bytes // _row_bytes(graph.inputs))),
            width=max(1, device.slots // execution.executors),
            wait_seconds=settings.wait_milliseconds / 1000,
        )

    return Served(
        Accepts(manifest, call_rows),
        describe(proved, limits),
        execution,
        batcher(engine.encode, manifest.graphs.encoder),
        batcher(engine.decode, manifest.graphs.decoder),
        batcher(engine.reconstruct, manifest.graphs.encoder),
    )


def describe(proved: Proved, limits: pb.Limits) -> pb.Model:
    """Returns what GetModel answers, but for what depends on the other versions."""
    manifest, exactness = proved.manifest, proved.exactness
    executors, threads, _, source = proved.execution
    data = manifest.data
    return pb.Model(
        name=manifest.name,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        data=pb.DataSpec(
            kind={"image": pb.DATA_KIND_IMAGE, "table": pb.DATA_KIND_TABLE}[data.kind],
            shape=data.shape,
            dtype=DATA_TYPES[data.dtype],
            minimum=data.minimum,
            maximum=data.maximum,
            missing_allowed=data.missing_allowed,
            columns=data.columns,
            image_fit=_image_fit(data.image_fit),
        ),
        latent_shape=manifest.latent_shape,
        posterior={"gaussian": pb.POSTERIOR_GAUSSIAN, "none": pb.POSTERIOR_NONE}[manifest.posterior],
        likelihood=pb.Likelihood(family=manifest.likelihood.family, constants=manifest.likelihood.constants),
        priors=[pb.Prior(name=prior.name, noise_size=prior.noise_size) for prior in manifest.priors],
        default_prior=manifest.default_prior,
        provider=proved.provider,
        limits=limits,
        noise_algorithm=ALGORITHM,
        metrics=manifest.metrics,
        exactness=pb.Exactness(is_exact=exactness.is_exact, largest_difference=exactness.largest_difference),
        execution=pb.Execution(
            executors=executors,
            threads=threads,
            source=source,
            row_microseconds=round(proved.row_seconds * 1e6),
        ),
    )


def _image_fit(fit: ImageFit | None) -> pb.ImageFit | None:
    return None if fit is None else pb.ImageFit(fit=fit.fit, channels=fit.channels or 0)


def _row_bytes(tensors: Sequence[TensorSpec]) -> int:
    """Returns the bytes that one row of the tensors takes."""
    return sum(prod(spec.row_shape) * np.dtype(spec.dtype).itemsize for spec in tensors)


def _call_rows(manifest: Manifest, settings: Settings) -> int:
    """Returns the most rows in a call: fewer than the setting where rows are so wide that a reply would be too long."""
    data, widest = manifest.data, 4 * manifest.data.size
    if data.kind == "image":  # a small image is longer as a PNG: a byte a line, and what surrounds it
        widest = max(widest, data.size + data.shape[0] + _PNG_BYTES)
    reply_row_bytes = max(widest + 4 * (manifest.latent_size + 4), 8 * manifest.latent_size)
    return max(1, min(settings.call_rows, settings.message_bytes // reply_row_bytes))
