"""Where the server listens: a host and port, or a Unix socket."""

import socket
import stat
from pathlib import Path

import grpc

from serving.settings import Settings, wrong
from serving.transport.credentials import server_credentials
from serving.transport.front import Front
from vaeserve.errors import StartupError

_LONGEST_PATH = 107  # bytes; the limit of the operating system
_LOOK_SECONDS = 1.0


def listen(front: Front, settings: Settings) -> str:
    """Opens the server's port, or its socket, and returns the target that reaches it.

    Raises:
        StartupError: it is taken or cannot be opened, or a certificate cannot be used.
    """
    credentials = server_credentials(settings)
    if settings.socket is not None:
        path = _free(settings.socket)
        _bind(front, f"unix:{path}", credentials, "can its directory be written to?")
        return f"unix:{path}"
    host = settings.host
    address = f"[{host}]" if ":" in host else host
    question = "is the port taken, or the address not of this machine?"
    return f"{address}:{_bind(front, f'{address}:{settings.port}', credentials, question)}"


def _bind(front: Front, address: str, credentials: grpc.ServerCredentials | None, question: str) -> int:
    try:
        return front.add_port(address, credentials)
    except OSError as exc:
        raise StartupError(f"cannot listen on {address}: {question}") from exc


def _free(path: Path) -> Path:
    """Returns the path of a socket that nobody listens on; gRPC would take it away from a server that does.

    Raises:
        StartupError: it is too long, a server listens there, or it is not a socket.
    """
    path = path.absolute()
    if len(str(path).encode()) > _LONGEST_PATH:
        raise wrong("socket", f"{path} is longer than {_LONGEST_PATH} bytes, the limit for the path of a socket")
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise wrong("socket", f"{path} exists, and is not a socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_LOOK_SECONDS)
            probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):  # the latter: left behind by a server that was killed
        return path
    except OSError as exc:
        raise wrong("socket", f"cannot look at {path}: {exc.strerror}") from exc
    raise wrong("socket", f"{path} is taken: a server listens there")
