"""What GetModel answers of a model, field by field."""

import asyncio

from serving.batching.device import Device
from serving.models.exactness import Exactness
from serving.models.execution import Execution
from serving.models.loading import load
from serving.models.served import serve_model
from serving.settings import Settings
from serving.vae_v1.describe import describe
from vaeserve.client.description import parse_model
from vaeserve.package.contents import Codes, LatentScaling
from vaeserve.package.data_spec import ArrayFit, ImageFit
from vaeserve.rows.noise import ALGORITHM
from vaeserve.v1 import vae_pb2 as pb


def test_every_field_says_what_is_served(settings: Settings) -> None:
    async def run() -> pb.Model:
        proved = load(settings.package, settings)._replace(
            exactness=Exactness(False, 0.25), execution=Execution(2, 3, 4, "measured"), row_seconds=0.7
        )
        scaling = LatentScaling(shift=(0.5,), scale=(2.0,), applied=True, formula="z * 2")
        proved = proved._replace(
            manifest=proved.manifest.model_copy(update={"scaling": scaling, "codes": Codes(levels=(5, 9, 3))})
        )
        served = serve_model(proved, Device(), settings)
        served.is_default = True
        return describe(served)

    model = asyncio.run(run())
    assert (model.name, model.version, model.provider, model.is_default) == ("tiny", 1, "cpu", True)
    assert model.exactness == pb.Exactness(is_exact=False, largest_difference=0.25)
    assert model.execution == pb.Execution(executors=2, threads=3, source="measured", row_microseconds=700_000)
    assert model.limits == pb.Limits(call_rows=16_384, request_bytes=settings.message_bytes, batch_rows=4)
    assert (model.posterior, list(model.latent_shape)) == (pb.POSTERIOR_GAUSSIAN, [3])
    assert model.likelihood == pb.Likelihood(family="binomial", constants={"trials": 16})
    assert list(model.priors) == [pb.Prior(name="standard", noise_size=3)]
    assert (model.default_prior, model.noise_algorithm) == ("standard", ALGORITHM)
    assert model.data == pb.DataSpec(
        kind=pb.DATA_KIND_IMAGE, shape=[4, 4, 1], dtype=pb.DATA_TYPE_UINT8, minimum=0, maximum=16
    )
    assert model.scaling == pb.LatentScaling(shift=[0.5], scale=[2.0], applied=True, formula="z * 2")
    assert model.codes == pb.Codes(levels=[5, 9, 3])
    assert {field.name for field in pb.Model.DESCRIPTOR.fields} - {"metrics"} == {
        field.name for field, _ in model.ListFields()
    } - {"metrics"}


def test_how_pictures_were_fitted_is_told_where_it_is_known(settings: Settings) -> None:
    async def run(fit: ImageFit) -> pb.Model:
        proved = load(settings.package, settings)
        data = proved.manifest.data.model_copy(update={"image_fit": fit})
        return describe(
            serve_model(proved._replace(manifest=proved.manifest.model_copy(update={"data": data})), Device(), settings)
        )

    for channels, expected in ((3, 3), (None, 0)):
        model = asyncio.run(run(ImageFit(fit="crop", channels=channels)))
        assert model.data.image_fit == pb.ImageFit(fit="crop", channels=expected)


def test_how_arrays_became_rows_is_told_and_read_back(settings: Settings) -> None:
    async def run(**fits: ArrayFit | ImageFit) -> pb.Model:
        proved = load(settings.package, settings)
        data = proved.manifest.data.model_copy(update=fits)
        return describe(
            serve_model(proved._replace(manifest=proved.manifest.model_copy(update={"data": data})), Device(), settings)
        )

    for fit in (ArrayFit(white=4095), ArrayFit(channels_first=True), ArrayFit(white=1, channels_first=True)):
        model = asyncio.run(run(array_fit=fit, image_fit=ImageFit(fit="exact", white=4095)))
        assert model.data.array_fit == pb.ArrayFit(white=fit.white or 0, channels_first=fit.channels_first)
        read = parse_model(model).data
        assert (read.array_fit, read.image_fit) == (fit, ImageFit(fit="exact", white=4095))
