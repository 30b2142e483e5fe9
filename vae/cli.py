"""The `vae` command: finds the half that owns a verb, and turns its errors into one line.

Standard library only, and no verb is imported before it is called, so that `vae --help` answers at once.
"""

import importlib
import os
import sys
from typing import NamedTuple, NoReturn


class Verb(NamedTuple):
    """Where a verb lives: `module.name(arguments) -> exit code`."""

    module: str
    extra: str
    """The extra that brings what the verb imports; empty for the base install."""
    summary: str


VERBS = {
    "train": Verb("training.cli", "training,serving", "train a VAE, export it and prove the export"),
    "export": Verb("training.cli", "training,serving", "export a checkpoint as a model package"),
    "serve": Verb("serving.cli", "serving", "serve a model package over gRPC"),
    "health": Verb("serving.cli", "serving", "ask a server whether it is ready"),
    "sample": Verb("vae.commands", "", "draw samples from a server into a picture or an array"),
    "encode": Verb("vae.commands", "", "encode rows of an array on a server"),
    "decode": Verb("vae.commands", "", "decode latents on a server"),
    "info": Verb("vae.commands", "", "describe a model package or what a server serves"),
}

_OWN_PACKAGES = ("vae", "training", "serving")


def main() -> NoReturn:
    """Runs the command that the process was started with, and exits."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command.

    Returns:
        0 when it succeeded, 1 when it failed, 2 when it was called wrongly, 130 when it was interrupted.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    verb = VERBS.get(name)
    if verb is None:
        return _fail(f"no such verb: {name}; `vae --help` lists them", 2)
    try:
        code: int = getattr(importlib.import_module(verb.module), name)(rest)
        sys.stdout.flush()
        return code
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        half = verb.module.partition(".")[0]
        if missing.partition(".")[0] in _OWN_PACKAGES and missing not in (half, verb.module):
            raise  # a half that is there lacks a module of its own
        install = f"'vaeserve[{verb.extra}]'" if verb.extra else "vaeserve"
        return _fail(f"`vae {name}` needs {missing}: pip install {install}", 1)
    except SystemExit as exc:  # argparse has said its part
        return exc.code if isinstance(exc.code, int) else 1
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader left, for example `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain as it exits
        return 1
    except Exception as exc:
        from vae.errors import VaeError

        if not isinstance(exc, VaeError):
            raise
        return _fail(str(exc), 1)


def usage() -> str:
    """Returns what `vae --help` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return f"""usage: vae VERB [OPTION ...]

Trains variational autoencoders and serves them over gRPC.

{verbs}

`vae VERB --help` tells a verb's options."""


def _fail(message: str, code: int) -> int:
    print(f"vae: {message}", file=sys.stderr)
    return code
