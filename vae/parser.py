"""The parser that every verb uses."""

import argparse
from pathlib import Path
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """Says what is wrong on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"vae: {message}; `{self.prog} --help` tells the options\n")


def verb_parser(verb: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    """Returns the parser of a verb, without options. What is not given is None; no Path that is given is empty."""
    parser = _Parser(prog=f"vae {verb}", description=summary, epilog=epilog, allow_abbrev=False)
    parser.register("type", Path, _path)
    return parser


def path_text(text: str) -> str:
    """Returns a path as it was given.

    Raises:
        ArgumentTypeError: it is empty: to Path that is the current directory, to a script a variable that was not set.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path, not empty")
    return text


def _path(text: str) -> Path:
    return Path(path_text(text))
