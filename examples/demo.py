"""Trains a VAE on real digits, serves it, and asks the service for pictures. `make demo` runs it.

It does with commands and the client what a user would do; everything ends up in demo/.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.data import load_dataset
from training.settings.source import Source
from vaeserve import Client
from vaeserve.command.pictures import grid_png, pairs_png

DEMO = Path("demo")
VAE = str(Path(sys.executable).with_name("vae"))


@contextmanager
def serving(package: Path) -> Iterator[str]:
    """Serves a package on a free port, and stops the server in the end."""
    command = [VAE, "serve", str(package), "--port", "0", "--log-level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"on (\S+:\d+),", line)
        if found is None:
            sys.exit("the server did not start")
        print(line, end="")
        try:
            yield found[1]
        finally:
            server.terminate()


def main() -> None:
    """Trains, serves, samples, reconstructs."""
    shutil.rmtree(DEMO, ignore_errors=True)
    subprocess.run([VAE, "train", "digits", "--out", str(DEMO / "run")], check=True)
    held_out = load_dataset(Source("digits"))
    with serving(DEMO / "run" / "model") as target, Client(target) as client:
        sampled = client.sample(64, seed=7)
        (DEMO / "samples.png").write_bytes(grid_png(sampled.output, held_out.spec))
        digits = held_out.test[:32].numpy()
        reconstructed = client.decode(client.encode(digits))
        (DEMO / "reconstructions.png").write_bytes(pairs_png(digits, reconstructed.output, held_out.spec))
    print(f"{DEMO / 'samples.png'}: rows 0 to 63 of seed {sampled.seed}")
    print(f"{DEMO / 'reconstructions.png'}: held-out digits above their reconstructions")


if __name__ == "__main__":
    main()
