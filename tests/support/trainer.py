"""What a process of training has after its first export, so that forks of one that imported this start there."""

import numpy as np
import torch

import training.cli
import training.run.run  # noqa: F401
from tests.support.exporter import read_operators_once
from training.export.graphs import export_graph
from training.export.probes import GraphModule

read_operators_once()
export_graph("warm", GraphModule(torch.nn.Linear(2, 2), ("rows",), ("sums",)), {"rows": np.zeros((2, 2), np.float32)})
