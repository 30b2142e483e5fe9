"""LoadedModel: a proved model and the limits of a call: what every caller may ask about, however its rows are run."""

from dataclasses import dataclass
from typing import NamedTuple

from serving.engine.providers import Provider
from serving.models.exactness import Exactness
from serving.models.execution import Execution
from serving.models.loading import ProvedModel
from serving.models.repository import ModelKey
from serving.models.row_memory import RowMemory
from serving.settings import Settings
from vaeserve.package.manifest import Manifest

_SCORE_BYTES = 16  # of Reconstruct, a row
_PNG_BYTES = 72  # what the header, the checksums and the compressor add to a small image


class CallLimits(NamedTuple):
    """Limits on one call."""

    call_rows: int
    """Maximum rows in a call."""
    request_bytes: int
    """Maximum length of a request."""
    batch_rows: int
    """Maximum rows that run in one batch."""
    encode_pixels: int = 0
    """Maximum pixels of a picture to encode, where sizes are free; 0: no other limit than theirs."""
    decode_pixels: int = 0
    """Maximum pixels of a picture to decode, likewise."""
    memory: RowMemory | None = None
    """What rows take, where sizes are free: for the error of one that is too large."""


@dataclass(eq=False, slots=True, kw_only=True)
class LoadedModel:
    """A model that was proved, and the limits of a call."""

    proved: ProvedModel
    limits: CallLimits
    is_default: bool = False
    """Whether requests that name this model, and no version, get this one."""

    @property
    def key(self) -> ModelKey:
        """The model's name and version."""
        return self.manifest.name, self.manifest.version

    @property
    def manifest(self) -> Manifest:
        """What the package says of itself."""
        return self.proved.manifest

    @property
    def provider(self) -> Provider:
        """What runs the graphs."""
        return self.proved.provider

    @property
    def execution(self) -> Execution:
        """How the graphs are run."""
        return self.proved.execution

    @property
    def exactness(self) -> Exactness:
        """Whether the bits of an answer depend on the batch."""
        return self.proved.exactness

    @property
    def row_seconds(self) -> float:
        """Time that a row takes in a full batch which runs every graph."""
        return self.proved.row_seconds


def call_limits(proved: ProvedModel, settings: Settings) -> CallLimits:
    """Returns the limits of one call of a model. Rows are of the smallest size, where it is free."""
    call_rows = _call_rows(proved.manifest, settings)
    limits = CallLimits(call_rows, settings.message_bytes, proved.execution.batch_rows)
    memory, sizes = proved.memory, proved.manifest.data.sizes
    if memory is None or sizes is None:
        return limits
    return limits._replace(
        encode_pixels=memory.maximum_pixels(memory.encoder, sizes),
        decode_pixels=memory.maximum_pixels(memory.decoder, sizes),
        memory=memory,
    )


def _call_rows(manifest: Manifest, settings: Settings) -> int:
    """Returns the maximum of rows in a call: fewer than the setting where a reply of wide rows would be too long."""
    data, latent = manifest.data.smallest, manifest.latent.smallest
    widest = data.bytes_of(1, "float32")
    if data.kind == "image":  # a small image is longer as a PNG: a byte a line, and what surrounds it
        widest = max(widest, data.value_count + data.shape[0] + _PNG_BYTES)
    reply_row_bytes = max(widest + latent.bytes_of(1) + _SCORE_BYTES, 2 * latent.bytes_of(1))
    return max(1, min(settings.call_rows, settings.message_bytes // reply_row_bytes))
