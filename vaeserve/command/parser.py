"""The parser that every verb uses."""

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

_SHOW = "\0parser"  # no argument of a command line can hold it


class _Shown(Exception):
    """Carries a verb's parser out of the verb."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__("a parser was asked for. This is a bug.")
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong on one line, and which option was probably meant."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401, argparse's own types
        if args == [_SHOW]:
            raise _Shown(self)
        self._given = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"vae: {self._unknown_option() or message}; `{self.prog} --help` tells the options\n")

    def _unknown_option(self) -> str:
        """Returns what to say of the first option that does not exist: argparse would name what is missing instead."""
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for argument in self._given:
            name = argument.partition("=")[0]
            if name == "--":
                break
            if name.startswith("--") and name not in options:
                return f"no such option: {name}{did_you_mean(name, options)}"
        return ""


def verb_parser(verb: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    """Returns the parser of a verb, without options. What is not given is None; no Path that is given is empty."""
    parser = _Parser(prog=f"vae {verb}", description=summary, epilog=epilog, allow_abbrev=False)
    parser.register("type", Path, _path)
    return parser


def parser_of(verb: Callable[[list[str]], int]) -> argparse.ArgumentParser:
    """Returns the parser of a verb: it parses its arguments before it does anything else."""
    try:
        verb([_SHOW])
    except _Shown as shown:
        return shown.parser
    raise AssertionError("a verb parsed nothing. This is a bug.")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Returns what to add to an error about a name, if it is much like one that is known."""
    near = difflib.get_close_matches(given, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


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
