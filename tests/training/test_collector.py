import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from tests.support.servers import ROOT
from training.export.graphs import export_graph
from training.export.probes import GraphModule

SEEN: list[bool] = []


class Watched(torch.nn.Module):
    """Notes whether the collector is on when the exporter traces it."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        SEEN.append(gc.isenabled())
        return rows + 1


def test_graphs_are_traced_with_the_collector_paused() -> None:
    export_graph("graph", GraphModule(Watched(), ("rows",), ("more",)), {"rows": np.zeros((2, 3), np.float32)})
    assert SEEN
    assert not any(SEEN)
    assert gc.isenabled()


PACKAGE = "'--encoder', 'E', '--decoder', 'D', '--spec', 'spec.toml', '--out', 'package'"
VERBS = f"""
("training.cli", "train", ["digits", "--out", "run"]),
("training.cli", "export", ["run", "--out", "package"]),
("training.study.cli", "evaluate", ["run"]),
("training.study.cli", "compare", ["run", "other"]),
("training.study.cli", "sweep", ["digits", "--out", "run", "--beta", "1,2"]),
("training.bring.cli", "package", [{PACKAGE}]),
("training.imports.cli", "import_pair", ["folder", "--out", "package", "--name", "pair"]),
"""


def test_verbs_import_pytorch_with_the_collector_paused(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text('name = "pair"\nkind = "image"\nshape = [2, 2, 1]\nlatent_shape = 1\n')
    code = f"""
import gc, importlib, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise SystemExit(gc.isenabled())

sys.meta_path.insert(0, Watch())
for module, verb, arguments in [{VERBS}]:
    try:
        getattr(importlib.import_module(module), verb)(arguments)
    except SystemExit as exc:
        print(verb, exc.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    verbs = ("train", "export", "evaluate", "compare", "sweep", "package", "import_pair")
    assert done.stdout.splitlines() == [f"{verb} False" for verb in verbs], done.stderr
