"""The name of a package, made from that of its data."""

import re
import unicodedata

MAXIMUM = 128  # characters


def fit_name(name: str) -> str:
    """Returns the name of a file or folder as a package's: without accents, and with dashes for invalid characters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")[:MAXIMUM].rstrip("._-") or "data"
