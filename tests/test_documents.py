"""The documents' snippets run as they stand."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.exporter import read_operators_once
from tests.support.servers import ROOT, RunningServer
from training.bring import cli
from training.export.graphs import quiet
from vaeserve.package.directory import ModelPackage

TARGET = "127.0.0.1:50051"
BRING = ROOT / "docs" / "bring-your-own.md"


def _snippets(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _run(snippet: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(snippet, "snippet", "exec"), names)
    return names


CLIENTS = {
    f"{page.name}-{number}": snippet
    for page in (ROOT / "README.md", ROOT / "docs" / "api.md", ROOT / "docs" / "noise.md")
    for number, snippet in enumerate(_snippets(page))
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_clients_snippet_runs(server: RunningServer, tiny: Path, name: str) -> None:
    snippet = CLIENTS[name].replace(TARGET, server.target).replace('model="digits"', 'model="tiny"')
    _run(snippet.replace("runs/digits/model", str(tiny)))


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), path
        assert not anchor or anchor in _anchors(linked), f"{path}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_commands_name_servers_with_target(page: Path) -> None:
    assert re.findall(r"\bvae \w+ (?:unix|localhost|HOST|[\d.]+):\S+", page.read_text("utf-8")) == []


def test_pairs_are_brought_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read_operators_once()
    whole, wrapping = _snippets(BRING)
    brought = _run(whole)
    package = ModelPackage.open(tmp_path / "packages" / "faces")
    assert (package.manifest.name, package.manifest.data.shape, package.manifest.latent_shape) == (
        "faces",
        (64, 64, 3),
        (128,),
    )

    wrapped, images = _run(wrapping)["Wrapped"](_Foreign(brought["encoder"])), torch.rand(3, 3, 64, 64) * 2 - 1
    for answered, expected in zip(wrapped(images), brought["encoder"](images), strict=True):
        torch.testing.assert_close(answered, expected, atol=1e-5, rtol=1e-4)

    _export_onnx(brought["encoder"], torch.zeros(2, 3, 64, 64), "E.onnx", ["mean", "log_variance"])
    _export_onnx(brought["decoder"], torch.zeros(2, 128), "D.onnx", ["expectation"])
    np.save("images.npy", brought["images"])
    [settings], [command] = (
        _snippets(BRING, "toml"),
        re.findall(r"^    vae package (.*)$", BRING.read_text(), re.MULTILINE),
    )
    Path("faces.toml").write_text(settings)
    assert cli.package(shlex.split(command)) == 0
    assert ModelPackage.open(tmp_path / "packages" / "faces-2").manifest.version == 2


def _export_onnx(module: nn.Module, example: Tensor, file: str, outputs: list[str]) -> None:
    with quiet():
        torch.onnx.export(
            module.eval(), (example,), file, dynamic_shapes=({0: "batch"},), output_names=outputs, verbose=False
        )


class _Foreign(nn.Module):
    """Answers the mean and the standard deviation."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(images)
        return mean, (0.5 * log_variance).exp()
