import os
import subprocess
import sys

from benchmarks.clocks import clock, since

SECONDS = 0.5
COUNTED = 0.4  # the kernel counts in ticks of 10 ms
WORK = f"import time\nwhile time.process_time() < {SECONDS}: pass\nprint('done', flush=True)\ninput()"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WORK!r}])"


def test_the_time_of_processes_that_a_server_started_counts_while_they_run_and_afterwards() -> None:
    before = clock(os.getpid())
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        assert clock(parent.pid).processor >= COUNTED
        parent.communicate("\n")
    assert since(os.getpid(), before).processor >= COUNTED
