"""A folder of photographs, from training to latents: what is encoded is, bit for bit, what was trained on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.servers import RunningServer, RunVae, running
from vaeserve import Client
from vaeserve.command.cli import run
from vaeserve.package.data_spec import ImageFit
from vaeserve.package.directory import ModelPackage
from vaeserve.sources.folder import read_folder
from vaeserve.sources.picture import Wanted

CLASSES = ("cat", "dog", "fox")
FLAGS = ("--image-size", "8,12", "--image-fit", "pad", "--channels", "1", "--skip-bad", "--epochs", "1")
SMALL = ("--hidden-sizes", "8", "--latent-size", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes, some of which lie on their side, and a broken one, in folders by class."""
    root, random = tmp_path_factory.mktemp("folder") / "animals", np.random.default_rng(0)
    sideways = Image.Exif()
    sideways[0x0112] = 6
    for number in range(48):
        place = root / CLASSES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (20 + number % 5, 30 + number % 7, 3), np.uint8)
        exif = sideways if number % 4 == 0 else Image.Exif()
        Image.fromarray(pixels).save(place / f"{number:02}.jpg", exif=exif)
    (root / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return root


@pytest.fixture(scope="module")
def package(folder: Path) -> ModelPackage:
    directory = folder.parent / "run"
    assert (
        run(["train", str(folder), "--out", str(directory), *FLAGS, "--hidden-sizes", "8", "--latent-size", "3"]) == 0
    )
    return ModelPackage.open(directory / "model")


@pytest.fixture(scope="module")
def server(package: ModelPackage) -> Iterator[RunningServer]:
    with running(package.directory) as server:
        yield server


def test_the_package_tells_how_pictures_were_fitted(package: ModelPackage, server: RunningServer, vae: RunVae) -> None:
    assert package.manifest.data.image_fit == ImageFit(fit="pad", channels=1)
    with Client(server.target) as client:
        assert client.get_model().data == package.manifest.data
    assert "turned upright, brought to size by pad, converted to grey" in vae("info", "--target", server.target).stdout


def test_a_folder_is_encoded_as_it_was_trained_on(folder: Path, server: RunningServer, vae: RunVae) -> None:
    out = folder.parent / "z.npz"
    encode = ("encode", "--target", server.target, "--input", folder, "--out", out)
    refused = vae(*encode)
    assert (refused.returncode, refused.stderr) == (1, f"vae: {folder}/dog/broken.jpg: is not an intact JPEG\n")
    done = vae(*encode, "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"left out 1:\n  {folder}/dog/broken.jpg: is not an intact JPEG\n"
    trained = read_folder(folder, Wanted((8, 12), "pad", 1), skip_bad=True).values
    with np.load(out) as archive, Client(server.target) as client:
        assert archive["files"].tolist() == [str(path) for path in sorted(folder.rglob("[0-9]*.jpg"))]
        np.testing.assert_array_equal(archive["latent"], client.encode(trained).latent)
        assert len(np.unique(archive["latent"], axis=0)) == 48


def test_the_card_tells_the_classes_by_name(package: ModelPackage) -> None:
    card = (package.directory / "README.md").read_text()
    assert "held-out images of each class" in " ".join(card.split())
    assert "coloured by class" in " ".join(card.split())
