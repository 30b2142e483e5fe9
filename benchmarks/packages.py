"""Packages of the models that the benchmarks serve, made once and cached beside this file.

    python -m benchmarks.packages

digits is the model in `runs/digits`; if there is none, it is trained here with the defaults. mlp and conv have random
weights (make_package.py), and so have large, of 335 MB, and pictures, whose rows have any size (make_pictures.py).
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.harness import ROOT

CACHE = ROOT / "benchmarks" / ".packages"
NAMES = ("digits", "mlp", "conv")
LARGE, PICTURES = "large", "pictures"


def package(name: str) -> Path:
    """Returns the directory of a model's package; makes the package if it is missing."""
    trained = ROOT / "runs" / "digits" / "model"
    if name == "digits" and trained.exists():
        return trained
    directory = CACHE / "digits" / "model" if name == "digits" else CACHE / name
    if not directory.exists():
        print(f"making the package {name} ...", file=sys.stderr, flush=True)
        command = ["-m", "benchmarks.make_package", name, str(directory)]
        if name == "digits":
            command = [
                "-c",
                "from vaeserve.command.cli import main; main()",
                "train",
                "digits",
                "--out",
                str(directory.parent),
            ]
        elif name == PICTURES:
            command = ["-m", "benchmarks.make_pictures", str(directory)]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return directory


def main() -> None:
    for name in NAMES:
        print(name, package(name))


if __name__ == "__main__":
    main()
