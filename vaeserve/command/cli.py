"""The `vae` command: finds the half that owns a verb, and turns its errors into one line.

Imports little, and no verb before it is called, so that `vae --help` answers at once.
"""

import importlib
import importlib.util
import os
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, NoReturn

from vaeserve.command.parser import did_you_mean
from vaeserve.errors import VaeError, how_to_install
from vaeserve.printable import printable


class Verb(NamedTuple):
    """Where a verb lives: `module.name(arguments) -> exit code`."""

    module: str
    extra: str
    """The extra that brings what the verb imports; empty for the base install."""
    summary: str
    function: str = ""
    """What it is called in the module; empty: as the verb itself."""


VERBS = {
    "train": Verb("training.cli", "training,serving", "train a VAE, export it and prove the export"),
    "export": Verb("training.cli", "training,serving", "export a checkpoint as a model package"),
    "evaluate": Verb(
        "training.study.cli", "training,serving", "measure a run's or a package's graphs on held-out rows"
    ),
    "compare": Verb("training.study.cli", "training,serving", "put the evaluations of several runs side by side"),
    "sweep": Verb("training.study.cli", "training,serving", "train with several KL weights: the rate-distortion curve"),
    "package": Verb("training.bring.cli", "training,serving", "package ONNX graphs that were made elsewhere"),
    "import": Verb(
        "training.imports.cli",
        "training,serving,diffusers",
        "package an autoencoder of image diffusion: SD, SDXL, SD3, FLUX, Sana, TAESD",
        "import_pair",
    ),
    "serve": Verb("serving.cli", "serving", "serve a model package over gRPC"),
    "tune": Verb("serving.tune", "serving", "measure how a model runs fastest on this machine"),
    "health": Verb("vaeserve.command.health", "", "ask a server whether it is ready"),
    "sample": Verb("vaeserve.command.sample", "", "draw samples from a server into a picture or an array"),
    "encode": Verb("vaeserve.command.encode", "", "encode rows of an array, or images, on a server"),
    "decode": Verb("vaeserve.command.decode", "", "decode latents on a server"),
    "reconstruct": Verb("vaeserve.command.reconstruct", "", "score how usual rows are for a model on a server"),
    "job": Verb("jobs.cli", "serving,jobs", "encode, decode, score or sample millions of rows into files; resumable"),
    "bench": Verb("vaeserve.command.bench.cli", "", "put load on a server and measure its latency and throughput"),
    "info": Verb("vaeserve.command.info", "", "describe a model package or what a server serves"),
    "sign": Verb("vaeserve.command.signing", "sign", "sign a model package"),
    "verify": Verb("vaeserve.command.signing", "sign", "verify who signed a model package"),
    "completion": Verb(
        "vaeserve.command.completion", "terminal", "print a script with which a shell completes verbs and options"
    ),
}

_OWN_PACKAGES = ("vaeserve", "training", "serving", "jobs")


def main() -> NoReturn:
    """Runs the command that the process was started with, and exits."""
    _open_streams()
    warnings.formatwarning = _warning_line
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command, and answers every expected failure with one line on stderr.

    Returns:
        0 when it succeeded, 1 when it failed, 2 when it was called wrongly, 130 when it was interrupted.
    """
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as exc:  # argparse has printed its message
        return exc.code if isinstance(exc.code, int) else 1
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader left, for example `head`
        _discard_output()
        return 1
    except OSError as exc:  # an unexpected failure of the disk, or stdout is full
        _discard_output()
        return _fail(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror or exc), 1)
    except Exception as exc:
        if not isinstance(exc, VaeError):
            raise
        return _fail(str(exc), 1)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["help"]:
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    if any("\udc80" <= char <= "\udcff" for argument in arguments for char in argument):
        return _fail("an argument is not valid UTF-8", 2)
    name, *rest = arguments
    verb = VERBS.get(name)
    if name == "--version" or (verb is not None and rest == ["--version"]):  # with a value it is a verb's own option
        from vaeserve import __version__

        print(f"vae {__version__}")
        return 0
    if verb is None:
        return _fail(f"no such verb: {name}{did_you_mean(name, VERBS)}; `vae --help` lists them", 2)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC also returns what it logs, and that is our one line
    half = verb.module.partition(".")[0]
    if (other := _path_in_place_of(half)) is not None:
        kind = "folder" if other.is_dir() else "file"
        return _fail(f"{other}: hides the package {half}, which `vae {name}` needs: rename the {kind}, or run `vae`", 1)
    try:
        code: int = getattr(importlib.import_module(verb.module), verb.function or name)(rest)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if missing.partition(".")[0] in _OWN_PACKAGES and missing not in (half, verb.module):
            raise  # an installed half lacks one of its own modules
        return _fail(f"`vae {name}` needs {missing}: {how_to_install(verb.extra)}", 1)
    return code


def _path_in_place_of(package: str) -> Path | None:
    """Returns a caller's own file or folder, for example serving.py or serving/, that Python finds before our package.

    `python -m vaeserve` looks in the current directory first.
    """
    spec = None if package in sys.modules or package == "vaeserve" else importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin) if spec.submodule_search_locations is None else Path(spec.origin).parent
    return None if found.resolve() == Path(__file__).resolve().parents[2] / package else found


def _open_streams() -> None:
    """Makes sure that there is a stdout and a stderr, and that no character breaks them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the process began
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123  it lives as long as the process
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Returns a warning of any library as one line, without the place in its source that raised it."""
    return f"vae: warning: {' '.join(str(message).split())}\n"


def _discard_output() -> None:
    """Points stdout at nothing, because Python would complain when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def usage() -> str:
    """Returns what `vae --help` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return f"""usage: vae VERB [OPTION ...]

Trains variational autoencoders and serves them over gRPC.

{verbs}

`vae VERB --help` lists the options of a verb. `vae --version` prints the version."""


def _fail(message: str, code: int) -> int:
    print(f"vae: {printable(message)}", file=sys.stderr)
    return code
