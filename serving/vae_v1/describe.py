"""What GetModel and ListModels answer: a model that is served -> its message."""

from serving.models.loaded import LoadedModel
from vaeserve.package.contents import LatentScaling
from vaeserve.package.data_spec import ArrayFit, DataSpec, ImageFit
from vaeserve.package.sizes import Axes, PictureSizes
from vaeserve.rows.noise import ALGORITHM
from vaeserve.rows.tensors import DATA_TYPES
from vaeserve.v1 import vae_pb2 as pb

_KINDS = {"image": pb.DATA_KIND_IMAGE, "table": pb.DATA_KIND_TABLE}
_POSTERIORS = {"gaussian": pb.POSTERIOR_GAUSSIAN, "none": pb.POSTERIOR_NONE}


def describe(served: LoadedModel) -> pb.Model:
    """Returns the description of a model."""
    manifest, execution, limits = served.manifest, served.execution, served.limits
    return pb.Model(
        name=manifest.name,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        data=_data_spec(manifest.data, manifest.latent_factor),
        latent_shape=_lengths(manifest.latent_shape),
        posterior=_POSTERIORS[manifest.posterior],
        likelihood=pb.Likelihood(family=manifest.likelihood.family, constants=manifest.likelihood.constants),
        priors=[pb.Prior(name=prior.name, noise_size=prior.noise_size or 0) for prior in manifest.priors],
        default_prior=manifest.default_prior,
        provider=served.provider,
        limits=pb.Limits(
            call_rows=limits.call_rows,
            request_bytes=limits.request_bytes,
            batch_rows=limits.batch_rows,
            encode_pixels=limits.encode_pixels,
            decode_pixels=limits.decode_pixels,
        ),
        noise_algorithm=ALGORITHM,
        metrics=manifest.metrics,
        exactness=pb.Exactness(
            is_exact=served.exactness.is_exact, largest_difference=served.exactness.largest_difference
        ),
        execution=pb.Execution(
            executors=execution.executors,
            threads=execution.threads,
            source=execution.source,
            row_microseconds=row_microseconds(served),
        ),
        is_default=served.is_default,
        scaling=None if manifest.scaling is None else _scaling(manifest.scaling),
        precision=manifest.precision,
        codes=None if manifest.codes is None else pb.Codes(levels=manifest.codes.levels),
    )


def row_microseconds(served: LoadedModel) -> int:
    """Returns the time that a row takes in a full batch; 0: less than half a microsecond."""
    return round(served.row_seconds * 1e6)


def _data_spec(data: DataSpec, factor: int) -> pb.DataSpec:
    return pb.DataSpec(
        kind=_KINDS[data.kind],
        shape=_lengths(data.axes),
        dtype=DATA_TYPES[data.dtype],
        minimum=data.minimum,
        maximum=data.maximum,
        missing_allowed=data.missing_allowed,
        columns=data.columns,
        image_fit=_image_fit(data.image_fit),
        array_fit=_array_fit(data.array_fit),
        sizes=None if data.sizes is None else _sizes(data.sizes, factor),
    )


def _lengths(axes: Axes) -> list[int]:
    """Returns the lengths of a row's axes; -1 for those that are free."""
    return [axis if isinstance(axis, int) else -1 for axis in axes]


def _sizes(sizes: PictureSizes, factor: int) -> pb.PictureSizes:
    return pb.PictureSizes(
        multiple=sizes.multiple,
        minimum=sizes.minimum,
        maximum=sizes.maximum,
        default_size=pb.PictureSize(height=sizes.default.height, width=sizes.default.width),
        latent_factor=factor,
    )


def _scaling(scaling: LatentScaling) -> pb.LatentScaling:
    return pb.LatentScaling(shift=scaling.shift, scale=scaling.scale, applied=scaling.applied, formula=scaling.formula)


def _image_fit(fit: ImageFit | None) -> pb.ImageFit | None:
    return None if fit is None else pb.ImageFit(fit=fit.fit, channels=fit.channels or 0, white=fit.white or 0)


def _array_fit(fit: ArrayFit | None) -> pb.ArrayFit | None:
    return None if fit is None else pb.ArrayFit(white=fit.white or 0, channels_first=fit.channels_first)
