"""Worker processes on this machine: started, handed partitions, and replaced when they are killed."""

import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobs.plan.plan import Partition
from jobs.run.messages import (
    Begin,
    Event,
    PartitionDone,
    PartitionLost,
    RunPartition,
    WorkerFailed,
    parse_message,
)
from vaeserve.errors import JobError

_ATTEMPTS: Final = 5  # of one partition whose worker is killed


class Workers:
    """Computes partitions in so many processes. Each is handed neighbours, which are cheap to read one after another.

    Args:
        begin: the job, and who computes.
        count: processes.
    """

    def __init__(self, begin: Begin, count: int) -> None:
        self._begin, self._count = begin, count
        self._selector = selectors.DefaultSelector()
        self._processes: list[_Process] = []
        self._deaths: dict[str, int] = {}

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        """Yields what becomes of the partitions, until all are done.

        Raises:
            JobError: a worker failed, or a partition killed its worker several times over.
        """
        shares = _Shares(partitions, min(self._count, len(partitions)))
        for number in range(shares.count):
            self._hand_out(_Process(self._begin, number, self._selector), shares)
        while self._processes:
            for key, _ in self._selector.select():
                process: _Process = key.data
                yield from self._hear(process, shares)

    def close(self) -> None:
        """Kills every worker; what it had begun stays undone."""
        for process in self._processes:
            process.kill(self._selector)
        self._processes = []

    def _hear(self, process: "_Process", shares: "_Shares") -> Iterator[Event]:
        messages, has_ended = process.read()
        for line in messages:
            message = parse_message(line)
            if isinstance(message, WorkerFailed):
                raise JobError(message.message)
            yield message
            if isinstance(message, PartitionDone):
                self._processes.remove(process)
                self._hand_out(process, shares)
        if has_ended and process in self._processes:
            self._processes.remove(process)
            yield PartitionLost(key=self._replace(process, shares))

    def _hand_out(self, process: "_Process", shares: "_Shares") -> None:
        """Hands a process its next partition, or lets it go."""
        partition = shares.next(process.number)
        if partition is None:
            return process.kill(self._selector)
        self._processes.append(process)
        process.begin(partition)

    def _replace(self, process: "_Process", shares: "_Shares") -> str:
        """Starts a worker in place of one that was killed, and returns the key of the partition that it had begun."""
        code, partition = process.end(self._selector), process.partition
        if partition is None:
            raise AssertionError("a worker without a partition was watched. This is a bug.")
        if code >= 0:
            raise JobError(f"a worker ended with exit code {code} in partition {partition.key}: see above")
        self._deaths[partition.key] = self._deaths.get(partition.key, 0) + 1
        if self._deaths[partition.key] == _ATTEMPTS:
            raise JobError(
                f"partition {partition.key}: signal {-code} killed its worker {_ATTEMPTS} times; is memory short? "
                "Fewer --workers and --batch-rows take less"
            )
        shares.give_back(process.number, partition)
        self._hand_out(_Process(self._begin, process.number, self._selector), shares)
        return partition.key


class _Shares:
    """Which partitions each worker is handed: a run of neighbours, then what others have not reached yet."""

    def __init__(self, partitions: Sequence[Partition], count: int) -> None:
        self.count = count
        ends = [len(partitions) * number // max(count, 1) for number in range(count + 1)]
        self._left = [deque(partitions[ends[number] : ends[number + 1]]) for number in range(count)]

    def next(self, number: int) -> Partition | None:
        """Returns a worker's next partition; None: there is none for anyone."""
        if self._left[number]:
            return self._left[number].popleft()
        longest = max(self._left, key=len)
        return longest.pop() if longest else None

    def give_back(self, number: int, partition: Partition) -> None:
        """Takes back a partition that a worker did not finish."""
        self._left[number].appendleft(partition)


class _Process:
    """One worker process."""

    def __init__(self, begin: Begin, number: int, selector: selectors.BaseSelector) -> None:
        self.number = number
        self.partition: Partition | None = None
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jobs.run.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the driver's to hear
        )
        self._unread = b""
        self._send(begin.model_dump_json())
        if self._process.stdout is None:
            raise AssertionError("a worker without standard output. This is a bug.")
        self._out = self._process.stdout.fileno()
        selector.register(self._out, selectors.EVENT_READ, self)

    def begin(self, partition: Partition) -> None:
        """Hands it a partition."""
        self.partition = partition
        self._send(RunPartition(key=partition.key).model_dump_json())

    def read(self) -> tuple[list[bytes], bool]:
        """Returns the lines that have come, and whether there will be no more."""
        content = os.read(self._out, 2**20)
        *lines, self._unread = (self._unread + content).split(b"\n")
        return lines, not content

    def kill(self, selector: selectors.BaseSelector) -> None:
        """Ends it."""
        self._process.kill()
        self.end(selector)

    def end(self, selector: selectors.BaseSelector) -> int:
        """Waits until it has ended, and returns its exit code."""
        selector.unregister(self._out)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return self._process.wait()

    def _send(self, line: str) -> None:
        if self._process.stdin is None:
            raise AssertionError("a worker without standard input. This is a bug.")
        with suppress(BrokenPipeError):  # it was killed, which is heard of soon
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
