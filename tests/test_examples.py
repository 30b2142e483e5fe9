"""The examples in other languages: they name what the proto has, and the one in TypeScript runs where it is built."""

import json
import re
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from tests.support.servers import ROOT, running, until
from vaeserve.v1 import vae_pb2 as pb

TYPESCRIPT, GO = ROOT / "examples" / "typescript", ROOT / "examples" / "go"
FILE = pb.DESCRIPTOR
MESSAGES: dict[str, Descriptor] = dict(FILE.message_types_by_name)
FIELDS = {field.name for message in MESSAGES.values() for field in message.fields}


def _sources(folder: Path, ending: str) -> str:
    built = ("node_modules", "generated", "dist", "vaev1")
    files = [file for file in folder.rglob(f"*{ending}") if not set(built) & set(file.parts)]
    return "\n".join(re.sub(r"//.*", "", file.read_text("utf-8")) for file in files)


def _go_names() -> set[str]:
    """Returns the names that Go's generator makes of the proto."""
    oneofs = {
        f"{name}_{_pascal(field.name)}"
        for name, message in MESSAGES.items()
        for field in message.fields
        if field.containing_oneof
    }
    values = {f"{name}_{value}" for name, enum in FILE.enum_types_by_name.items() for value in enum.values_by_name}
    service = {"VaeServiceClient", "NewVaeServiceClient", "VaeService_CallStreamClient"}
    return {*MESSAGES, *FILE.enum_types_by_name, *oneofs, *values, *service}


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _camel(name: str) -> str:
    return name[0] + _pascal(name)[1:]


def test_go_names_what_the_proto_has() -> None:
    source = _sources(GO, ".go")
    named = set(re.findall(r"\bvaev1\.(\w+)", source))
    assert {"Call", "CallStreamRequest", "Call_Reconstruct"} <= named <= _go_names()
    assert set(re.findall(r"\.Get([A-Z]\w+)\(\)", source)) <= set(map(_pascal, FIELDS))
    assert {"AnyOrder", "CancelledIds", "TimeoutMicroseconds"} <= set(map(_pascal, FIELDS)) & set(
        re.findall(r"\w+", source)
    )


def test_typescript_names_what_the_proto_has() -> None:
    source = _sources(TYPESCRIPT / "src", ".ts")
    imported = set(re.findall(r'"\./generated/vae/v1/(\w+)\.js"', source))
    assert {"CallStreamRequest", "Reply"} <= imported <= {*MESSAGES, "VaeService"}
    fields = {"anyOrder", "cancelledIds", "timeoutMicroseconds", "replies", "latentShape", "batchRows"}
    assert fields <= set(map(_camel, FIELDS)) & set(re.findall(r"\w+", source))


BUILT = shutil.which("node") is not None and (TYPESCRIPT / "dist" / "load.js").exists()
needs_node = pytest.mark.skipif(not BUILT, reason="needs Node.js, and `npm install && npm run build` in the example")


@needs_node
def test_typescript_shares_a_stream(tiny: Path) -> None:
    with running(tiny) as server:
        ran = _node("main.js", server.target)
    said = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
    assert (said["wrong"], said["late"], said["cancelled"]) == ("INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "AbortError")
    assert said["decoded"] == "64 rows of shape [4,4,1]"


@needs_node
def test_typescript_goes_on_after_its_connection_broke(tiny: Path) -> None:
    with running(tiny) as server, Relay(server.target) as relay:
        breaking = threading.Thread(target=relay.break_soon)
        breaking.start()
        ran = _node("load.js", relay.target, "shared", "2")
        breaking.join()
    answered = json.loads(ran.stdout)
    assert relay.opened >= 2
    assert answered["failed"] == 0, ran.stderr
    assert answered["calls"] >= 64


def _node(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["node", f"dist/{script}", *arguments]
    return subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, text=True, timeout=60, check=True)


class Relay:
    """Passes connections on to a server, and can break them."""

    def __init__(self, target: str) -> None:
        host, port = target.split(":")
        self._server = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.opened = 0
        self._passed_bytes = 0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept).start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which ends the accepting
        self._listener.close()
        self._break()
        until(lambda: all(end.fileno() == -1 for end in self._ends))

    def break_soon(self) -> None:
        """Breaks the connections once calls go over them."""
        until(lambda: self._passed_bytes > 20_000)
        self._break()

    def _break(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ends = self._listener.accept()[0], socket.create_connection(self._server)
                self._ends += ends
                self.opened += 1
                for one, other in (ends, ends[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other)).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with one, suppress(OSError):
            while content := one.recv(65_536):
                other.sendall(content)
                self._passed_bytes += len(content)
            other.shutdown(socket.SHUT_RDWR)
