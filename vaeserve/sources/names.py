"""Names fit for a package, and for a message of one line: of files and columns from outside, and of settings."""

import re
import unicodedata

from vaeserve.printable import printable

PACKAGE_DIRECTORY = "model"
"""Where a run's directory keeps its package."""
MOST = 128  # characters in the name of a package
MOST_SHOWN = 60


def fit_name(name: str) -> str:
    """Returns a package's name after that of a file or folder: no accents, and dashes for what does not fit."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")[:MOST].rstrip("._-") or "data"


def shown(name: object) -> str:
    """Returns a name with everything escaped that would not print, or break the line."""
    return printable(name)


def quoted(text: str) -> str:
    """Returns a text that may be as long as a file, in quotes and cut."""
    return f"'{shown(text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + '...')}'"


def flag_of(setting: str) -> str:
    """Returns what a person calls a setting on the command line."""
    return "DATA" if setting == "dataset" else f"--{setting.replace('_', '-')}"


def column_of(name: str | int) -> str:
    """Returns what a message calls a column: by its name in the file, or by its place where the file gives none."""
    return f"column {quoted(name) if isinstance(name, str) else name}"
