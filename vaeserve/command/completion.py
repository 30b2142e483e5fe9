"""The verb `vae completion`: a script with which a shell completes verbs and their options."""

import argparse
from importlib import import_module

from vaeserve.command.parser import parser_of, verb_parser

_SHELLS = ("bash", "zsh", "tcsh")


def completion(arguments: list[str]) -> int:
    """Prints a script for a shell. Verbs whose extra is not installed are completed without their options."""
    parser = verb_parser(
        "completion",
        "Prints a script with which a shell completes verbs and their options.",
        'To use it in this shell: eval "$(vae completion bash)". To keep it, add that line to ~/.bashrc.',
    )
    parser.add_argument("shell", choices=_SHELLS, help="%(choices)s")
    shell: str = parser.parse_args(arguments).shell
    import shtab

    print(shtab.complete(_all_verbs(), shell))
    return 0


def _all_verbs() -> argparse.ArgumentParser:
    """Returns one parser for the whole command, of which every verb is a part."""
    from vaeserve.command.cli import VERBS

    whole = argparse.ArgumentParser(prog="vae")
    whole.add_argument("--version", action="store_true", help="print the version")
    parts = whole.add_subparsers()
    for name, verb in VERBS.items():
        try:
            own = [parser_of(getattr(import_module(verb.module), verb.function or name))]
        except ModuleNotFoundError:
            own = []
        parts.add_parser(name, parents=own, add_help=not own, help=verb.summary)
    return whole
