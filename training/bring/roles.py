"""Roles: what each of a module's or a graph's outputs is, by what the spec, their names or their number say."""

from collections.abc import Sequence
from typing import NamedTuple

from vaeserve.errors import TrainingError

IGNORED = "ignored"


class Outputs(NamedTuple):
    """What an encoder, a decoder or a likelihood may answer."""

    key: str
    """Of the spec, where its maker may tell."""
    choices: tuple[tuple[str, ...], ...]
    """Roles that are enough, in the order in which a module answers them: the first choice of that many, if untold."""
    told: tuple[str, ...] | None = None
    """What the spec says."""

    def are_enough(self, roles: Sequence[str]) -> bool:
        """Whether the roles, in any order and apart from those to be ignored, are one of the choices."""
        return sorted(role for role in roles if role != IGNORED) in map(sorted, self.choices)

    @property
    def rule(self) -> str:
        """What a maker has to tell, in words."""
        return f"must name, once each, {'; or '.join(map(', '.join, self.choices))}; others are {IGNORED}"

    def roles_of(self, label: str, count: int, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Returns the role of each output, in their order.

        Args:
            label: what to call the module or graph in an error.
            count: how many outputs there are.
            names: those of a graph.

        Raises:
            TrainingError: it cannot be told.
        """
        answers = f"answers {count} tensor{'s' * (count != 1)}" + (f" ({', '.join(names)})" if names else "")
        if self.told is not None:
            if len(self.told) != count:
                raise TrainingError(f"{label}: {answers}, and {self.key} names {len(self.told)}")
            return self.told
        known = {role for choice in self.choices for role in choice}
        by_name = tuple(name if name in known else IGNORED for name in names)
        if self.are_enough(by_name):
            return by_name
        for choice in self.choices:
            if len(choice) == count and (count == 1 or not names):
                return choice
        raise TrainingError(f"{label}: {answers}, and it is not clear which is what: {self.key} {self.rule}")
