"""LocalService: a request -> its reply, at once: parsed and rendered as the service does, with no queue in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from serving.local.batches import BatchRunner
from serving.models.loaded import LoadedModel, call_limits
from serving.models.loading import load
from serving.models.registry import Registry
from serving.settings import Settings
from serving.vae_v1.describe import describe
from serving.vae_v1.inputs import Undecoded
from serving.vae_v1.outputs import add_places
from serving.vae_v1.rpc import AnyRowsRpc
from serving.vae_v1.sample import Sample
from serving.vae_v1.sample_stream import messages
from serving.vae_v1.streams import AnyRowsRequest
from serving.vae_v1.verbs import VERBS
from vaeserve.rows.arrays import join
from vaeserve.rows.image_checks import image_places
from vaeserve.rows.images import decode_images, encode_images
from vaeserve.v1 import vae_pb2 as pb

_RPCS: dict[str, AnyRowsRpc] = {rpc.name: rpc for rpc in VERBS.values()}


class LocalService:
    """The RPCs of one package, for any number of threads.

    Args:
        package: the package.
        settings: how it is run.

    Raises:
        PackageError: the package is damaged, or its graphs do not answer as the trainer's did.
        OutOfMemory: there is not enough memory for a single row.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
    """

    def __init__(self, package: Path, settings: Settings) -> None:
        proved = load(package, settings)
        self._models: Registry[LoadedModel] = Registry()
        self._models.put(LoadedModel(proved=proved, limits=call_limits(proved, settings)))
        self._models.loaded()
        self._batches = BatchRunner(proved.execution)

    def describe(self, name: str, version: int) -> pb.Model:
        """Returns the description of a model.

        Raises:
            UnknownName: the package holds another one.
        """
        return describe(self._models.find(name, version))

    def answer(self, method: str, request: AnyRowsRequest) -> Message:
        """Returns the reply to a request.

        Args:
            method: name of the RPC.
            request: its message.

        Raises:
            VaeError: any that the service's parsers and the engine raise.
        """
        model, rpc = self._models.find(request.model, request.version), _RPCS[method]
        response: Message = self._respond(rpc, request, rpc.parse(request, model.manifest, model.limits), model)
        return response

    def sample(self, request: pb.SampleStreamRequest) -> Iterator[pb.SampleStreamResponse]:
        """Yields rows of a prior, a message at a time.

        Raises:
            VaeError: as `answer` does.
        """
        model, rpc = self._models.find(request.request.model, request.request.version), _RPCS[Sample.name]
        for rows in messages(request, model):
            response = self._respond(rpc, request.request, rows, model)
            yield pb.SampleStreamResponse(first_row=rows.noise.first_row, response=response)

    def close(self) -> None:
        """Ends what runs, and lets go of the model."""
        self._batches.close()
        self._models = Registry()

    def _respond(self, rpc: AnyRowsRpc, request: AnyRowsRequest, rows: Any, model: LoadedModel) -> Any:  # noqa: ANN401, of the RPC's types
        spec, places = model.manifest.data, None
        if isinstance(rows, Undecoded):
            data = decode_images(rows.images, rows.field, 0, spec, fit=rows.fit, size=rows.size)
            if rows.size is not None and rows.fit != "exact":
                places = image_places(rows.images, rows.size)
            rows = rows.make_rows(data, rows.size)
        answer = self._batches.run(rpc.runner(model.proved.engine), rows, model.proved.weigher(*rpc.graphs)(rows.size))
        writes_images = rpc.writes_images(request)
        files = encode_images(join(rpc.outputs(answer.parts)), spec) if writes_images else None
        response = rpc.render(request, rows, answer, model.manifest, files)
        return (response if places is None else add_places(response, places)).whole()
