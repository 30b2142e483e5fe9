"""How `vae serve` starts."""

import subprocess
import sys

from tests.support.servers import ROOT


def test_the_service_is_imported_with_the_collector_paused() -> None:
    code = """
import gc, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("pydantic", "grpc"):
            print(name, gc.isenabled())
        if name == "grpc":
            raise SystemExit

sys.meta_path.insert(0, Watch())
from serving.cli import serve
serve(["package"])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["pydantic False", "grpc False"]
