"""A package's graphs run in batches that shrink when memory runs out."""

from pathlib import Path
from typing import Any

import pytest

from jobs.engine.answers import Work
from jobs.engine.package import PackageComputer, open_package
from jobs.plan.request import JobRequest
from vaeserve.errors import OutOfMemory
from vaeserve.package.row_spec import Array


def test_batches_halve_until_they_fit_and_change_no_bit(
    tiny: Path, pictures: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_package(tiny, "cpu", 1, 64)
    settings = JobRequest(verb="encode", output="sample", seed=5).settings(opened.facts, 64)
    (expected,) = PackageComputer(opened, settings).answers([Work(0, 100, pictures[:100])])
    engine, sizes = opened.proved.engine, list[int]()
    encode = engine.encode

    def short_of_memory(calls: Any) -> Any:  # noqa: ANN401
        (rows,) = (call.data for call in calls)
        sizes.append(len(rows))
        if len(rows) > 20:
            raise OutOfMemory("no memory")
        return encode(calls)

    monkeypatch.setattr(engine, "encode", short_of_memory)
    (answers,) = PackageComputer(opened, settings).answers([Work(0, 100, pictures[:100])])
    assert sizes == [64, 32, 16, 16, 16, 16, 16, 16, 4]
    assert answers.columns["latent"].tobytes() == expected.columns["latent"].tobytes()
    assert answers.errors == {}
