"""Packages the linear pair, as it is or with a graph of it replaced."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.support import linear_pair
from training.bring.bring import package_files
from training.bring.spec import parse_spec
from vaeserve.package.directory import ModelPackage

Package = Callable[..., ModelPackage]


@pytest.fixture
def bring(tmp_path: Path) -> Package:
    def bring_pair(
        encoder: onnx.ModelProto | bytes | None = None,
        decoder: onnx.ModelProto | bytes | None = None,
        likelihood: onnx.ModelProto | None = None,
        rows: object = None,
        **spec: object,
    ) -> ModelPackage:
        own = None if likelihood is None else linear_pair.save(tmp_path, "l", likelihood)
        return package_files(
            tmp_path / "model",
            encoder=linear_pair.save(tmp_path, "e", linear_pair.encoder() if encoder is None else encoder),
            decoder=linear_pair.save(tmp_path, "d", linear_pair.decoder() if decoder is None else decoder),
            spec=parse_spec(linear_pair.SPEC | spec, "spec"),
            likelihood=own,
            rows=rows,  # type: ignore[arg-type]
        ).package

    return bring_pair
