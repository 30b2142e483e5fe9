"""Types what a page of the documents says into a terminal."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.servers import VAE

_SHORT = " --epochs 1 --evaluation-rows 10 --evaluation-samples 5"


class Terminal:
    """A shell whose `vae` is this checkout's; `vae serve` runs until the next one, on a port of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: subprocess.Popen[str] | None = None
        self._ports = {port: _free_port() for port in ("50051", "9090")}
        commands = directory / ".commands"
        commands.mkdir()
        _script(commands / "vae", f'exec {shlex.join(VAE)} "$@"')
        _script(commands / "python", f'exec {shlex.quote(sys.executable)} "$@"')
        self._environment = {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "VAE_TARGET": self.target,
            "VAE_TUNING_CACHE": str(directory / ".tuning"),
        }

    @property
    def target(self) -> str:
        """Where the page's servers listen."""
        return f"127.0.0.1:{self._ports['50051']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def type(self, line: str) -> None:
        """Runs a line to its end, or until its server is ready. Training is cut short; a program that is missing is skipped."""
        for written, port in self._ports.items():
            line = re.sub(rf"\b{written}\b", port, line)
        if line.startswith("vae serve"):
            self._stop()
            self._serve(line)
        elif shutil.which(line.split()[0], path=self._environment["PATH"]):
            self._run(line + _SHORT * line.startswith("vae train") if "--model ae" not in line else f"{line} --epochs 1")

    def _run(self, line: str) -> None:
        done = subprocess.run(
            line, check=False, shell=True, capture_output=True, text=True, cwd=self._directory, env=self._environment
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def _serve(self, line: str) -> None:
        arguments = [*shlex.split(line)[2:], "--port", self._ports["50051"]]
        with (self._directory / ".serve.log").open("w") as log:
            self._server = subprocess.Popen(
                [*VAE, "serve", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._directory,
                env=self._environment,
            )
        assert self._server.stdout is not None
        assert " on " in self._server.stdout.readline(), (self._directory / ".serve.log").read_text()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.communicate(timeout=60)
            assert self._server.returncode == 0, (self._directory / ".serve.log").read_text()


def _script(path: Path, content: str) -> None:
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])
