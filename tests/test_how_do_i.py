"""Every answer of docs/how-do-i.md runs, from the top of the page to its end."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pages import Terminal
from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "how-do-i.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_answers_every_question_by_number() -> None:
    numbers = re.findall(r"^### (\d+)\. \.\.\. .+\?$", PAGE, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 23)]


@pytest.mark.timeout(600)
def test_every_answer_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _make_data()
    with Terminal(tmp_path) as terminal:
        for language, block in BLOCKS:
            terminal.type(block) if language == "sh" else terminal.run_python(block)

    np.testing.assert_array_equal(np.load("page.npy"), np.load("samples.npy")[400:500])
    assert len(np.load("latents.npz")["latent"]) == len(Path("scores.csv").read_text().splitlines()) - 1 == 60
    assert "anomaly_auroc_negative_elbo" in Path("runs/parts/model/manifest.json").read_text()
    assert {path.name for path in Path("models").iterdir()} == {".readings-2", "faces", "readings"}


def _make_data() -> None:
    """Writes what the page's reader has: a folder of pictures, and a table."""
    random = np.random.default_rng(0)
    Path("pictures").mkdir()
    for number, pixels in enumerate(random.integers(0, 256, (60, 16, 16), np.uint8)):
        Image.fromarray(pixels).save(Path("pictures") / f"{number}.png")
    readings = random.normal(size=(120, 2)) @ random.normal(size=(2, 4)) + random.normal(size=(120, 4)) / 10
    np.savetxt("readings.csv", readings, delimiter=",", header="a,b,c,d", comments="")
    states = ["broken" if number % 8 == 0 else "usual" for number in range(120)]
    lines = [f"{state},{','.join(map(str, row))}" for state, row in zip(states, readings, strict=True)]
    Path("parts.csv").write_text("\n".join(["state,a,b,c,d", *lines]))
