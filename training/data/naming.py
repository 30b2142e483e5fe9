"""The name of a package after that of its data."""

import re
import unicodedata

MOST = 128  # characters


def fit_name(name: str) -> str:
    """Returns a package's name after that of a file or folder: no accents, and dashes for what does not fit."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")[:MOST].rstrip("._-") or "data"
