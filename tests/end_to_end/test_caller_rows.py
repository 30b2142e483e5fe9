"""Pictures of Pillow's and data frames, answered by a real server as the files and arrays that they hold."""

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from tests.support.servers import RunningServer
from vaeserve import Client
from vaeserve.client.caller_rows import as_rows
from vaeserve.errors import InvalidInput

PIXELS = np.linspace(0, 255, 16).round().astype(np.uint8).reshape(4, 4)


def test_a_model_without_names_takes_a_frames_columns_in_order(server: RunningServer) -> None:
    table = pa.table({name: [float(number)] for number, name in enumerate("xyz")})
    assert as_rows(table, "latent").tolist() == [[0.0, 1.0, 2.0]]
    with Client(server.target) as client:
        by_frame, by_array = client.decode(table), client.decode([[0.0, 1.0, 2.0]])
    assert by_frame.output.tobytes() == by_array.output.tobytes()


def _palette() -> Image.Image:
    picture = Image.fromarray(PIXELS).quantize(256)
    assert picture.mode == "P"
    return picture


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.fromarray(PIXELS),
        lambda: Image.fromarray(PIXELS).convert("RGB"),
        lambda: Image.fromarray(PIXELS).convert("RGBA"),
        lambda: Image.fromarray(PIXELS).convert("LA"),
        _palette,
    ],
    ids=["L", "RGB", "RGBA", "LA", "P"],
)
def test_pictures_are_what_their_files_are(server: RunningServer, make: Callable[[], Image.Image]) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    with Client(server.target) as client:
        of_file = client.encode([file.getvalue()] * 2)
        of_picture = client.encode([make()] * 2)  # type: ignore[arg-type]
    assert of_picture.latent.tobytes() == of_file.latent.tobytes()


def test_pictures_that_fit_no_model_are_refused(server: RunningServer) -> None:
    with Client(server.target) as client:
        with pytest.raises(InvalidInput, match="data: is a single image, must be a sequence of them"):
            client.encode(Image.fromarray(PIXELS))  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"data\[1\]: has colours of mode CMYK, must have grey, RGB or RGBA"):
            client.encode([Image.fromarray(PIXELS), Image.new("CMYK", (4, 4))])  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"data\[0\]: is 5 x 4 pixels, must be 4 x 4"):
            client.encode([Image.new("L", (5, 4))])  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"data\[0\]: has 16 bits a channel"):
            client.encode([Image.new("I;16", (4, 4))])  # type: ignore[arg-type]


def test_a_picture_that_is_still_to_be_turned_is_refused_and_one_that_was_is_taken(server: RunningServer) -> None:
    picture = Image.fromarray(PIXELS)
    picture.getexif()[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "PNG", exif=picture.getexif())
    with Client(server.target) as client:
        with pytest.raises(InvalidInput, match=r"data\[0\]: has an EXIF orientation: turn it with PIL.ImageOps"):
            client.encode([picture])  # type: ignore[arg-type]
        turned = client.encode([ImageOps.exif_transpose(picture)])  # type: ignore[arg-type]
        of_file = client.encode([file.getvalue()])
    assert turned.latent.tobytes() == of_file.latent.tobytes()
