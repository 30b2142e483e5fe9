"""The verb `vae job`: encode, decode, reconstruct, sample; status, verify."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from jobs.job import run_job
from jobs.options import job_parser, read_job
from jobs.plan.folder import JobFolder
from jobs.plan.plan import RowError
from jobs.report.summary import Summary, summarize
from jobs.report.verify import problems
from jobs.run.driver import TooManyErrors
from jobs.run.progress import Speaker
from vaeserve.printable import printable

_TOO_MANY_ERRORS = 3
_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


def job(arguments: list[str]) -> int:
    """Runs a batch job, or looks at one."""
    options = job_parser().parse_args(arguments)
    return {"status": _status, "verify": _verify}.get(options.verb, _compute)(options)


def _compute(options: argparse.Namespace) -> int:
    request, engine, how = read_job(options)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        summary = run_job(request, engine, options.out, how, Speaker("json" if options.json else "auto"))
    except _Terminated:
        return _stopped(options.out, _TERMINATED)
    except KeyboardInterrupt:
        return _stopped(options.out, _INTERRUPTED)
    except TooManyErrors as exc:
        print(f"vae: {exc}; the first:", file=sys.stderr)
        _list_errors(exc.errors, sys.stderr)
        return _TOO_MANY_ERRORS
    _tell(options.out, summary, is_json=options.json)
    return 0


class _Terminated(BaseException):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _stopped(out: Path, code: int) -> int:
    folder = JobFolder(out)
    done = ""
    if folder.has_plan:
        plan = folder.read_plan()
        finished = sum(map(folder.is_done, plan.partitions))
        done = f": {finished:,} of {len(plan.partitions):,} partitions are done; run the same command to go on"
    print(f"vae: stopped{done}", file=sys.stderr)
    return code


def _list_errors(errors: Sequence[RowError], stream: TextIO) -> None:
    for error in errors:
        where = f" ({printable(error.source)}, row {error.source_row})" if error.source else ""
        print(f"  row {error.row:,}{where}: {printable(error.reason)}", file=stream)


def _tell(out: Path, summary: Summary, *, is_json: bool) -> None:
    if is_json:
        print(summary.model_dump_json(exclude={"files", "latents"}))
        return
    shares = summary.seconds
    parts = " + ".join(f"{getattr(shares, name):.1f} s {name}" for name in ("read", "infer", "write"))
    print(
        f"{printable(out)}: {summary.done_rows:,} of {summary.rows:,} rows{_errors(summary)}; "
        f"{summary.done_partitions:,} of {summary.partitions:,} partitions; {parts}"
    )


def _errors(summary: Summary) -> str:
    return f", {summary.error_rows:,} of them with an error" if summary.error_rows else ""


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _status(options: argparse.Namespace) -> int:
    folder = JobFolder(options.out)
    plan = folder.read_plan()
    summary = summarize(folder, plan)
    _tell(options.out, summary, is_json=options.json)
    if not options.json and summary.buckets:
        print("buckets: " + ", ".join(f"{bucket.size.label} {bucket.rows:,}" for bucket in summary.buckets))
    if options.errors:
        for marker in folder.markers(plan):
            _list_errors(marker.errors, sys.stderr if options.json else sys.stdout)
    return 0


def _verify(options: argparse.Namespace) -> int:
    folder = JobFolder(options.out)
    plan = folder.read_plan()
    lines = [*problems(folder, plan)]
    for line in lines:
        print(f"vae: {printable(line)}", file=sys.stderr)
    if lines:
        return 1
    summary = summarize(folder, plan)
    rows = f"{_counted(summary.rows, 'row')}{_errors(summary)}"
    files = _counted(summary.partitions, "file")
    print(f"{printable(options.out)}: {rows}, each there once; {files}, unchanged")
    return 0
