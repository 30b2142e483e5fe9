"""What a killed process leaves is removed; what another run is writing is not."""

import subprocess
import sys
from pathlib import Path

from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition
from tests.support.servers import ROOT

WRITER = """
import sys
from jobs.plan.folder import hold
with open(sys.argv[1], "wb") as file:
    hold(file)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / ".part-00000-of-00001.npy.1234abcd.partial"
    partitions = [Partition(key="00000", file="part-00000-of-00001.npy", first_row=0, rows=1)]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(partial)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    JobFolder(tmp_path).remove_partials(partitions)
    assert partial.exists()
    writer.kill()
    writer.communicate()
    JobFolder(tmp_path).remove_partials(partitions)
    assert not partial.exists()
