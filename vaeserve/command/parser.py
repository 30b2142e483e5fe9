"""The parser that every verb uses."""

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vaeserve.printable import printable

if TYPE_CHECKING:
    from vaeserve.package.sizes import PictureSize

_ASK = "\0parser"  # no argument of a command line can hold it


class _Carrier(Exception):
    """Carries a verb's parser out of the verb."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__("a parser was asked for. This is a bug.")
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Prints what is wrong on one line, and which option was probably meant.

    Args:
        slips: what to say of options that a related verb has, by name.
        **options: argparse's own.
    """

    _arguments: Sequence[str] = ()

    def __init__(self, slips: Mapping[str, str] | None = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._slips = slips or {}
        self.register("type", Path, _path)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401, argparse's own types
        if args == [_ASK]:
            raise _Carrier(self)
        self._arguments = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if (within := self._verb_within()) is not None:
            within.error(message)
        problem = printable(self._unknown_option() or message)
        self.exit(2, f"vae: {problem}; `{self.prog} --help` lists the options\n")

    def _verb_within(self) -> argparse.ArgumentParser | None:
        """Returns the parser of the verb within this one that was called; it knows more about what is wrong."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and self._arguments:
                within: argparse.ArgumentParser | None = action.choices.get(self._arguments[0])
                return within
        return None

    def _unknown_option(self) -> str:
        """Returns what to say of the first option that does not exist: argparse would name what is missing instead."""
        options = [option for option in self._known_options() if option.startswith("--")]
        for argument in self._arguments:
            name = argument.partition("=")[0]
            if name == "--":
                break
            if name.startswith("--") and name not in options:
                slip = self._slips.get(name)
                return f"no such option: {name}{f' ({slip})' if slip else did_you_mean(name, options)}"
        return ""

    def _known_options(self) -> list[str]:
        """Returns the options of the parser, and of the verbs within it."""
        within = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        parsers: list[argparse.ArgumentParser] = [self, *(parser for verbs in within for parser in verbs.values())]
        return [option for parser in parsers for option in parser._option_string_actions]


def verb_parser(
    verb: str, summary: str, epilog: str = "", slips: Mapping[str, str] | None = None
) -> argparse.ArgumentParser:
    """Returns the parser of a verb, without options. Paths must not be empty.

    Args:
        verb: its name.
        summary: the first lines of its help.
        epilog: the last ones.
        slips: what to say of options that a related verb has, by name.
    """
    return _Parser(prog=f"vae {verb}", description=summary, epilog=epilog, allow_abbrev=False, slips=slips)


def parser_of(verb: Callable[[list[str]], int]) -> argparse.ArgumentParser:
    """Returns the parser of a verb: it parses its arguments before it does anything else."""
    try:
        verb([_ASK])
    except _Carrier as carrier:
        return carrier.parser
    raise AssertionError("a verb parsed nothing. This is a bug.")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns what to add to an error about an unknown name, if it resembles one of `names`."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def path_text(text: str) -> str:
    """Returns a path as it was given.

    Raises:
        ArgumentTypeError: it is empty, which Path takes for the current directory; in a script a variable was not set.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path, not empty")
    return text


def picture_size(text: str) -> "PictureSize":
    """Reads the size that an option names, for argparse."""
    from vaeserve.package.sizes import PictureSize

    try:
        return PictureSize.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{exc}, not {text!r}") from exc


def _path(text: str) -> Path:
    return Path(path_text(text))
