"""Descriptions for people, from values alone."""

from typing import TYPE_CHECKING

import pytest

from vaeserve.client.description import Execution, Limits, Model
from vaeserve.command.descriptions import models_text, package_text
from vaeserve.package.contents import Codes, LatentScaling, Likelihood, Prior, Provenance
from vaeserve.package.data_spec import ArrayFit, DataSpec, ImageFit
from vaeserve.package.directory import ModelPackage

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Contents


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def model(**change: object) -> Model:
    values: dict[str, object] = {
        "name": "digits",
        "version": 1,
        "fingerprint": "f" * 64,
        "data": DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-1, maximum=1, missing_allowed=True),
        "latent_shape": (2,),
        "posterior": "none",
        "likelihood": Likelihood(family="gaussian"),
        "priors": (Prior(name="standard", noise_size=2), Prior(name="gmm", noise_size=3)),
        "default_prior": "gmm",
        "provider": "cpu",
        "limits": Limits(call_rows=8, request_bytes=1 << 20, batch_rows=64),
        "noise_algorithm": "philox",
        "exactness": None,
        "execution": None,
        "metrics": {},
        "is_default": True,
    }
    return Model.model_validate({**values, **change})


def lines_of(text: str) -> dict[str, str]:
    """The lines of one section by their names."""
    return {line[2:].split("  ")[0]: line[2:].split("  ", 1)[1].strip() for line in text.splitlines()[1:]}


def test_a_model_is_described_without_what_the_server_does_not_say() -> None:
    assert lines_of(models_text([model()], "host:1")) == {
        "fingerprint": "f" * 64,
        "data": "table, float32 [2] in [-1, 1], NaN where missing",
        "latent": "float32 [2]",
        "posterior": "none",
        "likelihood": "gaussian",
        "priors": "standard (2 normals a row), gmm (3 normals a row, default)",
        "provider": "cpu",
        "calls": "at most 8 rows and 1,048,576 bytes each",
        "batches": "at most 64 rows each",
        "noise": "philox",
    }


@pytest.mark.parametrize(
    ("threads", "row_seconds", "said"),
    [
        (1, 0.0, "at most 64 rows each; 2 at a time, 1 thread each (set)"),
        (3, 0.00125, "at most 64 rows each; 2 at a time, 3 threads each (set); about 1,250 us a row"),
    ],
)
def test_how_batches_run(threads: int, row_seconds: float, said: str) -> None:
    execution = Execution(executors=2, threads=threads, source="set", row_seconds=row_seconds)
    assert lines_of(models_text([model(execution=execution)], "host:1"))["batches"] == said


def test_half_precision_is_named_and_float32_is_not() -> None:
    assert lines_of(models_text([model(precision="fp16")], "host:1"))["precision"] == "fp16"
    assert "precision" not in lines_of(models_text([model()], "host:1"))


@pytest.mark.parametrize(
    ("levels", "said"), [((8, 8), "uint16 [2], 8 levels a value"), ((8, 5), "uint16 [2], 5 to 8 levels a value")]
)
def test_codes_are_described_where_there_are_some(levels: tuple[int, ...], said: str) -> None:
    assert lines_of(models_text([model(codes=Codes(levels=levels))], "host:1"))["codes"] == said
    assert "codes" not in lines_of(models_text([model()], "host:1"))


@pytest.mark.parametrize(
    ("shift", "scale", "applied", "said"),
    [
        ((0.0,), (0.18215,), True, "latents are scaled (latents = z * scaling_factor; shift 0, scale 0.18215)"),
        ((0.5, 1.0), (2.0, 3.0), False, "latents are raw (latents = z * scaling_factor; a shift and a scale for each"),
    ],
)
def test_scaling_is_described_with_its_numbers(
    shift: tuple[float, ...], scale: tuple[float, ...], applied: bool, said: str
) -> None:
    scaling = LatentScaling(shift=shift, scale=scale, applied=applied, formula="latents = z * scaling_factor")
    text = " ".join(models_text([model(scaling=scaling)], "host:1").split())
    assert f"scaling {said}" in text


def test_the_default_is_marked_among_several_models() -> None:
    assert models_text([], "host:1") == "host:1 serves no models"
    assert models_text([model()], "host:1").startswith("digits, version 1: served at host:1\n")
    several = models_text([model(), model(name="other", is_default=False)], "host:1")
    assert several.startswith("digits, version 1 (default): served at host:1\n")
    assert "\n\nother, version 1: served at host:1\n" in several
    assert "(default)" not in models_text([model(), model(name="other")], "host:1")


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (ImageFit(fit="exact"), "turned upright, refused if of another size"),
        (ImageFit(fit="pad", channels=1), "turned upright, brought to size by pad, converted to grey"),
        (ImageFit(fit="exact", white=4095), "turned upright, refused if of another size, 4095 of 16 bits is white"),
    ],
)
def test_what_becomes_of_pictures(fit: ImageFit, said: str) -> None:
    data = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16, image_fit=fit)
    assert lines_of(models_text([model(data=data)], "host:1"))["pictures"] == said


def test_a_package_says_where_it_comes_from(contents: "Contents", package: ModelPackage) -> None:
    assert "data set" not in package_text(package)
    libraries = {"torch": "2.9", "onnx": "1.20"}
    origin = Provenance(dataset="digits", data_sha256="ab" * 32, config={}, libraries=libraries)
    text = package_text(package._replace(manifest=contents.manifest.model_copy(update={"provenance": origin})))
    lines = lines_of(text.partition("\n\n")[0])
    assert lines["data set"] == "digits (SHA-256 of rows and split abababababab...)"
    assert lines["trained with"] == "torch 2.9, onnx 1.20"
    assert "\n\nparity with the reference, at batch sizes 1, 7\n" in text


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (ArrayFit(channels_first=True), "channels first"),
        (ArrayFit(white=1), "scaled from [0, 1] to [0, 16] and rounded, if not uint8"),
        (
            ArrayFit(white=4095, channels_first=True),
            "channels first; scaled from [0, 4095] to [0, 16] and rounded, if not",
        ),
    ],
)
def test_what_becomes_of_arrays(fit: ArrayFit, said: str) -> None:
    data = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16, array_fit=fit)
    assert lines_of(models_text([model(data=data)], "host:1"))["arrays"].startswith(said)
