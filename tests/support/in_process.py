"""A server of our own service on the event loop of a test."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from serving.in_flight import Calls
from serving.models.registry import Models
from serving.settings import Settings
from serving.transport.answering import Answering
from serving.transport.server import Server
from serving.transport.services import Service
from serving.turns import Turns
from serving.vae_v1.images import Images
from serving.vae_v1.servicer import vae_service

if TYPE_CHECKING:
    from serving.tracing.spans import Spans


def server_of(
    models: Models,
    settings: Settings,
    turns: Turns | None = None,
    others: Iterable[Service] = (),
    spans: "Spans | None" = None,
) -> tuple[Server, Answering]:
    """Returns a server on a free port, to be entered, and what its calls are counted by."""
    answering = Answering(settings.held_bytes, Calls(), spans)
    vae = vae_service(models, Images(1), settings.stream_bytes, answering, turns or Turns())
    local = settings.model_copy(update={"port": 0, "drain_seconds": 0.0})
    return Server([vae, *others], answering, local), answering
