"""From data to a model package.

    cli         arguments -> Config
    config      what a run can be told, and what it is when told nothing
    run         the steps below, in order: `train` and `export`
    data        a data set -> training rows and held-out rows
    networks    data -> posterior; latent -> what the likelihood needs
    likelihood  how probable data is, given what the decoder answers
    objective   the negative ELBO
    loop        gradient steps, epoch by epoch
    checkpoint  the loop's state <-> one file
    journal     one line of figures an epoch -> metrics.jsonl
    progress    the same figures, for who watches
    evaluate/   evidence: held-out figures, and what the graphs answer under ONNX Runtime
    card/       the model card: pictures and README of a pair, made from its graphs
    export      networks -> ONNX graphs
    priors      latents of training rows -> a mixture of Gaussians -> graphs to draw from and to score with
    probes      rows to try a graph on, and PyTorch's answers for them
    parity      ONNX Runtime's answers against those
    package     graphs, probes and manifest -> a model package, or a refusal
    report      the figures as a table, and the package's README
    bring/      pairs that were made elsewhere -> a model package

It never serves: nothing here knows gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.bring.bring import export
    from training.bring.spec import Spec

__all__ = ["Spec", "export"]

_MODULES = {"Spec": "training.bring.spec", "export": "training.bring.bring"}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
