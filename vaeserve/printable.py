"""Text from outside, fit for a terminal and for one line."""


def printable(text: object) -> str:
    """Returns text with what would steer a terminal or break the line, such as line ends and escapes, written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))
