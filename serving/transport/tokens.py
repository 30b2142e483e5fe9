"""Bearer tokens: who may call."""

import hmac
import re
from functools import partial
from pathlib import Path

from serving.settings import wrong
from serving.transport.file_watch import FileWatch
from vaeserve.errors import Unauthenticated

_LOOK_SECONDS = 1.0  # looking takes microseconds, too long to do it for every call
_TOKEN = re.compile(rb"[\x21-\x7e]+")


class Tokens:
    """The tokens that a file lists, one a line. The file is read again when it changes.

    Raises:
        StartupError: the file cannot be read, lists no token, or holds a line that is not one.
    """

    def __init__(self, path: Path) -> None:
        self._tokens = FileWatch("tokens", [path], partial(_read, path), _LOOK_SECONDS)

    def check(self, authorization: str | None) -> None:
        """Admits a caller who sent one of the file's tokens.

        Args:
            authorization: the caller's metadata of that name, `Bearer TOKEN`.

        Raises:
            Unauthenticated: it is missing, or the token is not in the file.
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("needs a token, sent as `authorization: Bearer TOKEN`")
        token = credentials.strip().encode()
        # All are compared, so that the time taken does not reveal which one matched.
        if not sum([hmac.compare_digest(token, valid) for valid in self._tokens.current()]):
            raise Unauthenticated("the token is not one of this server's")


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines()]
    except OSError as exc:
        raise wrong("token_file", f"cannot read {path}: {exc.strerror}") from exc
    tokens = []
    for number, line in enumerate(lines, 1):
        if line and not line.startswith(b"#"):
            if not _TOKEN.fullmatch(line):
                raise wrong("token_file", f"{path}, line {number}: must be one word of visible ASCII characters")
            tokens.append(line)
    if not tokens:
        raise wrong("token_file", f"{path} lists no token")
    return tuple(tokens)
