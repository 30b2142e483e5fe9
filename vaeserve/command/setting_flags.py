"""Flags of settings: one for each field of a settings record, by the field's name, type and description."""

import argparse
from collections.abc import Callable
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def flag_of(name: str) -> str:
    """Returns the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def plain_types(annotation: object) -> frozenset[object]:
    """Returns what a field's values may be: types, and the values of a Literal. None is left out."""
    origin = get_origin(annotation)
    if origin is Literal:
        return frozenset(get_args(annotation))
    if origin is not None and hasattr(annotation, "__metadata__"):
        return plain_types(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return frozenset().union(*map(plain_types, get_args(annotation))) - {NoneType}
    return frozenset({origin or annotation}) - {NoneType}


def add_setting_flag(
    group: argparse._ActionsContainer,
    name: str,
    field: "FieldInfo",
    text: str,
    *,
    read: Callable[[str], object] = str,
    metavar: str = "",
) -> None:
    """Adds the flag of a setting. Its value is None where the flag is not given.

    Args:
        group: the parser, or a group of it.
        name: of the field.
        field: its type decides: a switch for bool, choices for a Literal, otherwise text that `read` converts.
        text: the help.
        read: converts the text; raises ArgumentTypeError or ValueError.
        metavar: stands for the value in the help; empty: the last word of the name, which is its unit.
    """
    kinds, text = plain_types(field.annotation), text.replace("%", "%%")
    if kinds == {bool}:
        group.add_argument(flag_of(name), action=argparse.BooleanOptionalAction, default=None, help=text)
    elif not any(isinstance(kind, type) for kind in kinds):
        choices = sorted(kinds, key=list(_literals(field.annotation)).index)
        group.add_argument(flag_of(name), choices=choices, type=type(choices[0]), help=text)
    else:
        unit = metavar or name.rpartition("_")[2].upper()
        group.add_argument(flag_of(name), type=read, metavar=unit, help=text)


def _literals(annotation: object) -> tuple[object, ...]:
    """Returns the values of a Literal in their order, also where None may stand in for it."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(value for part in get_args(annotation) for value in _literals(part))
