"""Text from outside, fit for a terminal and for one line."""


def printable(text: object) -> str:
    """Returns text in which characters that would steer a terminal or break the line are written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))
