"""Types what a page of the documents says into a terminal."""

import multiprocessing
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.servers import ROOT, VAE
from vaeserve.command.cli import main

_SHORT = " --epochs 1 --mixture-components 2"
_SMALL = " --hidden-sizes 8,8"  # of pictures
_FEW = " --evaluation-rows 10 --evaluation-samples 5"
_BRIEF = {"vae bench": " --duration 0.3 --warmup 0.1", "vae tune": " --seconds 1"}

# PyTorch and what exports graphs take seconds to import and to warm up, so what needs them is forked from one process.
_TRAINING = ("vae train ", "vae export ", "vae compare ")
_FORKS = multiprocessing.get_context("forkserver")
_PRELOAD = ["tests.support.trainer"]


class Terminal:
    """A shell whose `vae` is this checkout's. `vae serve` runs until the next one, on a port of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: subprocess.Popen[str] | None = None
        self._ports = {port: _free_port() for port in ("50051", "9464")}
        commands = directory / ".commands"
        commands.mkdir()
        _write_script(commands / "vae", VAE)
        _write_script(commands / "python", [sys.executable])
        self._environment = {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "VAE_TARGET": f"127.0.0.1:{self._ports['50051']}",
            "VAE_TUNING_CACHE": str(directory / ".tuning"),
        }
        _FORKS.set_forkserver_preload(_PRELOAD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._stop()
        elif self._server is not None:
            self._server.kill()

    def type(self, block: str) -> None:
        """Runs a block, each line to its end or until its server is ready. Training and measuring are cut short; a
        program that is not installed is skipped."""
        for line in self._with_ports(block).splitlines():
            if line.startswith("vae serve"):
                self._stop()
                self._serve(line)
            elif line.startswith("vae train"):
                self._train(line + _SHORT + _FEW * ("--model ae" not in line) + _SMALL * ("pictures" in line))
            elif line.startswith(_TRAINING):
                self._train(line)
            elif line.startswith(tuple(_BRIEF)):
                self._run(line + _BRIEF[" ".join(line.split()[:2])])
            elif shutil.which(line.split()[0], path=self._environment["PATH"]):
                self._run(line)

    def run_python(self, snippet: str) -> None:
        """Runs a snippet of Python in a process of its own."""
        code = self._with_ports(snippet)
        self._fork(code, _run_snippet, code) if "import export" in code else self._run(
            shlex.join([sys.executable, "-c", code])
        )

    def _train(self, line: str) -> None:
        self._fork(line, _run_main, shlex.split(line))

    def _with_ports(self, text: str) -> str:
        for written, port in self._ports.items():
            text = re.sub(rf"\b{written}\b", port, text)
        return text

    def _run(self, line: str) -> None:
        done = subprocess.run(
            line, check=False, shell=True, capture_output=True, text=True, cwd=self._directory, env=self._environment
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def _fork(self, line: str, run: Callable[..., None], what: object) -> None:
        """Runs a line as `_run` does, in a process that has imported what training needs."""
        output = self._directory / ".output"
        process = _FORKS.Process(target=run, args=(what, self._directory, self._environment, output))
        process.start()
        process.join()
        assert process.exitcode == 0, f"{line}\n{output.read_text()}"

    def _serve(self, line: str) -> None:
        arguments = [*shlex.split(line)[2:], "--port", self._ports["50051"]]
        with self._log.open("w") as log:
            self._server = subprocess.Popen(
                [*VAE, "serve", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._directory,
                env=self._environment,
            )
        assert self._server.stdout is not None
        assert " on " in self._server.stdout.readline(), f"{line}\n{self._log.read_text()}"

    def _stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.communicate(timeout=60)
            assert self._server.returncode == 0, self._log.read_text()

    @property
    def _log(self) -> Path:
        return self._directory / ".serve.log"


def _run_main(arguments: list[str], directory: Path, environment: dict[str, str], output: Path) -> None:
    """Runs the `vae` command of this process, which is a fork, as a terminal would."""
    _be_terminal(directory, environment, output)
    warnings.simplefilter("error")  # as in `VAE`
    sys.argv = arguments
    main()


def _run_snippet(code: str, directory: Path, environment: dict[str, str], output: Path) -> None:
    """Runs a snippet in this process, which is a fork, as `python -c` would."""
    _be_terminal(directory, environment, output)
    exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})


def _be_terminal(directory: Path, environment: dict[str, str], output: Path) -> None:
    os.chdir(directory)
    os.environ.update(environment)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _write_script(path: Path, command: list[str]) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])
