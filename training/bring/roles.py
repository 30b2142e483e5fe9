"""Roles: what each output of a module or a graph is, by the spec, by its name, or by the number of outputs."""

from collections.abc import Sequence
from typing import NamedTuple

from vaeserve.errors import TrainingError

IGNORED = "ignored"


class Outputs(NamedTuple):
    """What an encoder, a decoder or a likelihood may answer."""

    key: str
    """The key of the spec that may name the roles."""
    choices: tuple[tuple[str, ...], ...]
    """Roles that are sufficient, in a module's order. Without names, the first choice with as many roles is taken."""
    names: tuple[str, ...] | None = None
    """The roles in the spec; None where it has none."""

    def are_enough(self, roles: Sequence[str]) -> bool:
        """Whether the roles, in any order and without those that are ignored, are one of the choices."""
        return sorted(role for role in roles if role != IGNORED) in map(sorted, self.choices)

    @property
    def rule(self) -> str:
        """What the key of the spec must hold, in words."""
        return f"must name, once each, {'; or '.join(map(', '.join, self.choices))}; others are {IGNORED}"

    def roles_of(self, label: str, count: int, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Returns the role of each output, in their order.

        Args:
            label: the name of the module or graph in errors.
            count: how many outputs there are.
            names: the outputs' names in a graph.

        Raises:
            TrainingError: the roles are not clear.
        """
        answers = f"answers {count} tensor{'s' * (count != 1)}" + (f" ({', '.join(names)})" if names else "")
        if self.names is not None:
            if len(self.names) != count:
                raise TrainingError(f"{label}: {answers}, and {self.key} names {len(self.names)}")
            return self.names
        every = {role for choice in self.choices for role in choice}
        by_name = tuple(name if name in every else IGNORED for name in names)
        if self.are_enough(by_name):
            return by_name
        for choice in self.choices:
            if len(choice) == count and (count == 1 or not names):
                return choice
        raise TrainingError(f"{label}: {answers}, and it is not clear which is what: {self.key} {self.rule}")
