"""Trains a VAE on real digits, serves it, and asks the service for pictures. `make demo` runs it.

It does with commands and the client what a user would do. Everything that it writes is in demo/.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.data import load_dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.evaluate.summary import evaluation_summary
from training.settings.source import Source
from vaeserve import Client
from vaeserve.command.pictures import grid_png, pairs_png

DEMO = Path("demo")
RUN = DEMO / "run"
VAE = str(Path(sys.executable).with_name("vae"))


@contextmanager
def serving(package: Path) -> Iterator[str]:
    """Serves a package on a free port, and stops the server in the end."""
    command = [VAE, "serve", str(package), "--port", "0", "--log-level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = re.search(r"on (\S+:\d+),", line)
        if address is None:
            sys.exit("the server did not start")
        print(line, end="")
        try:
            yield address[1]
        finally:
            server.terminate()


def main() -> None:
    """Trains, serves, samples, reconstructs, and says what the model is good for."""
    shutil.rmtree(DEMO, ignore_errors=True)
    subprocess.run([VAE, "train", "digits", "--out", str(RUN)], check=True)
    dataset = load_dataset(Source(dataset="digits"))
    with serving(RUN / "model") as target, Client(target) as client:
        samples = client.sample(64, seed=7)
        (DEMO / "samples.png").write_bytes(grid_png(samples.output, dataset.spec))
        digits = dataset.test[:32].numpy()
        reconstructions = client.decode(client.encode(digits))
        (DEMO / "reconstructions.png").write_bytes(pairs_png(digits, reconstructions.output, dataset.spec))
    print("\nThe model", *evaluation_summary(Evaluation.read(RUN / EVALUATION_FILE)), sep="\n  ")
    print(f"{DEMO / 'samples.png'}: 64 digits that the model made up, rows 0 to 63 of seed {samples.seed}")
    print(f"{DEMO / 'reconstructions.png'}: held-out digits, each above its reconstruction")
    print(f"{RUN / 'model' / 'README.md'}: the model card, with every figure")


if __name__ == "__main__":
    main()
