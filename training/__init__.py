"""From data to a model package.

    cli          the verbs train and export
    flags        arguments -> settings
    settings     a file, flags and a preset (presets/) -> Config, or what is wrong with them
    config       what a run can be told, and what it is when told nothing
    source       what of that is about data, and what kind of data that is
    versions     the version of a package: a number, or the next one
    names        what messages and packages call settings, files and columns
    run          the steps below, in order
    data/        a source -> training, validation and held-out rows
    scaling      data <-> values of about one, inside the graphs
    networks/    data -> posterior; latent -> what the likelihood needs
    likelihoods/ how probable data is, given what the decoder answers
    objective    every bound and loss that is lowered
    models/      which objective, with or without a posterior
    device       where a run computes, and in how many bits
    memory       which networks are too large
    state        all that changes while training
    inputs       what a step is given; all that is random in it
    schedule     what changes from step to step
    loop         gradient steps, epoch by epoch
    guard        which of them may be taken
    compiling    whether a compiled one is what it was compiled from
    checkpoint   the loop's state <-> one file
    journal      one line of figures an epoch -> metrics.jsonl
    lock         whether a run's directory is free, and one process at a time in it
    progress     the same figures, for who watches
    tensorboard  the same figures and pictures, for TensorBoard
    publish      a checkpoint -> a model package, by the steps below
    graphs       networks -> ONNX graphs
    probes       rows to try a graph on, and PyTorch's answers for them
    footprint    what memory a graph takes for a row
    priors       latents of training rows -> a mixture of Gaussians -> graphs to draw from and to score with
    evaluate/    evidence: held-out figures, and what the graphs answer under ONNX Runtime
    card/        the model card: pictures and README of a pair, made from its graphs
    footprint    what memory a graph takes for a row
    parity       ONNX Runtime's answers against PyTorch's
    package      graphs, probes and manifest -> a model package, or a refusal
    report       what a run says in a line
    study/       what runs came to: measured anew, side by side, as a curve
    bring/       pairs that were made elsewhere -> a model package

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
