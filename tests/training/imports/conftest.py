"""One package of each family, made once for all tests."""

from collections.abc import Callable

import pytest

from tests.support.autoencoders import save
from training.imports.importing import Wishes, import_folder
from vaeserve.package.directory import ModelPackage

Imported = Callable[[str], ModelPackage]


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    made: dict[str, ModelPackage] = {}

    def package(kind: str) -> ModelPackage:
        if kind not in made:
            directory = tmp_path_factory.mktemp(kind)
            save(directory / "vae", kind)
            made[kind] = import_folder(
                directory / "package", directory, Wishes(name=kind, minimum=16, maximum=64)
            ).package
        return made[kind]

    return package
