"""The verb `vae job`: encode, decode, reconstruct, sample; status, verify."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from vaeserve.command.options import add_connection_options, read_connection
from vaeserve.command.parser import did_you_mean, verb_parser

if TYPE_CHECKING:
    from jobs.engine.opening import EngineChoice
    from jobs.job import HowToRun
    from jobs.plan.plan import RowError
    from jobs.plan.request import JobRequest
    from jobs.report.summary import Summary

_TOO_MANY_ERRORS = 3
_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

_USAGE = """usage: vae job VERB ...

Batch jobs: any number of rows to files. A job that was stopped or killed goes on when the same command is run again.

  encode       latents of rows: pictures, tables, arrays
  decode       rows from latents
  reconstruct  scores of rows: how usual each is for the model
  sample       rows drawn from a prior
  status       how far a job is
  verify       whether every row is there once, and every file as it was written

`vae job VERB --help` lists the options."""

_SUMMARIES = {
    "encode": "Encodes every row of a source into files of latents.",
    "decode": "Decodes every latent of a source into files of rows.",
    "reconstruct": "Scores how usual every row of a source is for the model.",
    "sample": "Draws rows from a prior and decodes them into files.",
}
_EPILOG = "Exit codes: 0 all is done; 1 failed; 2 called wrongly; 3 too many rows have an error; 130, 143 stopped."


def job(arguments: list[str]) -> int:
    """Runs a batch job, or looks at one."""
    verbs: dict[str, Callable[[list[str]], int]] = {
        **{verb: lambda rest, verb=verb: _compute(verb, rest) for verb in _SUMMARIES},  # type: ignore[misc]
        "status": _status,
        "verify": _verify,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb not in verbs:
        print(f"vae: no such verb: job {verb}{did_you_mean(verb, verbs)}; `vae job --help` lists them", file=sys.stderr)
        return 2
    return verbs[verb](rest)


def _compute(verb: str, arguments: list[str]) -> int:
    options = _parser(verb).parse_args(arguments)
    from jobs.job import run_job
    from jobs.run.driver import TooManyErrors
    from jobs.run.progress import Speaker

    request, engine, how = _asked(verb, options)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        summary = run_job(request, engine, options.out, how, Speaker("json" if options.json else "auto"))
    except _Terminated:
        return _stopped(options.out, _TERMINATED)
    except KeyboardInterrupt:
        return _stopped(options.out, _INTERRUPTED)
    except TooManyErrors as exc:
        print(f"\nvae: {exc}; the first:", file=sys.stderr)
        _list_errors(exc.errors)
        return _TOO_MANY_ERRORS
    _tell(options.out, summary, is_json=options.json)
    return 0


class _Terminated(BaseException):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(f"job {verb}", _SUMMARIES[verb], _EPILOG)
    if verb == "sample":
        parser.add_argument("--count", type=int, required=True, metavar="ROWS", help="number of rows")
    else:
        _add_source(parser, verb)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the job: new, or to go on with"
    )
    _add_engine(parser)
    _add_answers(parser, verb)
    _add_files(parser)
    _add_running(parser)
    return parser


def _add_source(parser: argparse.ArgumentParser, verb: str) -> None:
    what = (
        "latents: .npy, .npz, .safetensors, .parquet, or an encode job's folder"
        if verb == "decode"
        else (
            "rows: a folder of pictures; .npy, .npz, .csv, .parquet, .safetensors, .tar or IDX files, or a folder of such"
        )
    )
    parser.add_argument("source", nargs="+", metavar="SOURCE", help=f"{what}; or URLs, for example s3://bucket/rows")
    parser.add_argument(
        "--columns",
        type=_names,
        default=(),
        metavar="A,B",
        help="columns of a table that become a row, or one that holds lists; default: as the model names them",
    )
    parser.add_argument(
        "--keep", type=_names, default=(), metavar="A,B", help="columns of a table to write beside the answers"
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who computes")
    group.add_argument("--package", type=Path, metavar="DIR", help="a model package, which runs in the job itself")
    group.add_argument(
        "--provider", choices=("auto", "cpu", "cuda"), default="auto", help="what runs the package's graphs"
    )
    group.add_argument("--model", default="", help="name of the service's model; default: its default, or its only one")
    group.add_argument("--version", type=int, default=0, help="version of the service's model; default: the newest")
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads of one batch, where the job runs a package; default 1"
    )
    group.add_argument(
        "--batch-rows", type=int, metavar="N", help="rows that run together; default: measured when the job is planned"
    )
    add_connection_options(parser, has_default=False)
    for action in parser._actions:  # argparse can be asked for its options in no other way
        if action.dest == "target":
            action.required = False
            action.help = "a running service, in place of --package"
        if action.dest == "timeout":
            action.default = 300.0


def _add_answers(parser: argparse.ArgumentParser, verb: str) -> None:
    from jobs.settings import OUTPUTS

    group = parser.add_argument_group("answers")
    outputs = OUTPUTS[verb]  # type: ignore[index]
    option, what = ("--latent", "which latent is decoded") if verb == "reconstruct" else ("--output", "what is written")
    group.add_argument(option, dest="output", choices=outputs, help=f"{what}; default: {outputs[0]}")
    if verb != "decode":
        group.add_argument("--seed", type=int, help="seed of what is drawn; default: chosen at random")
    if verb == "sample":
        group.add_argument("--prior", help="name of the prior; default: the model's own")
        group.add_argument("--temperature", type=float, help="factor on the noise's standard deviation; default 1")


def _add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files")
    group.add_argument(
        "--format",
        choices=("parquet", "safetensors", "npy"),
        help="default: parquet for tables, scores and flat latents, safetensors for spatial latents, npy for pictures",
    )
    group.add_argument(
        "--lists", choices=("plain", "fixed"), help="Parquet's lists; fixed: Arrow's lists of fixed size; default plain"
    )
    group.add_argument("--dtype", choices=("float32", "float16"), help="of safetensors and npy; default float32")
    group.add_argument("--partition-rows", type=int, metavar="N", help="rows of a file; default: by their size")


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    crew = group.add_mutually_exclusive_group()
    crew.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes on this machine; default: as many as pay"
    )
    crew.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that hands out the partitions, for example auto")
    group.add_argument(
        "--shard", metavar="I/N", help="only every N-th partition from I on: N such processes share a job"
    )
    group.add_argument(
        "--update", action="store_true", help="take new and changed files into a job, and drop what is gone"
    )
    group.add_argument(
        "--max-errors",
        default="0.1%",
        metavar="N",
        help="rows, or share of the rows, that may have an error before the job stops; default 0.1%%, at least 1",
    )
    group.add_argument("--json", action="store_true", help="progress and result as JSON, one object a line")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _asked(verb: str, options: argparse.Namespace) -> "tuple[JobRequest, EngineChoice, HowToRun]":
    """Returns what the options ask for.

    Raises:
        InvalidInput: names the option.
    """
    from jobs.job import Allowance, HowToRun, Shard
    from jobs.plan.request import JobRequest
    from jobs.python import engine_of

    values = {name: value for name, value in vars(options).items() if name in JobRequest.model_fields}
    request = JobRequest.parse(verb=verb, addresses=tuple(getattr(options, "source", ())), **values)
    engine = vars(options) | {"timeout_seconds": options.timeout}
    if options.target is not None:
        connection = read_connection(options)
        engine["connection"] = {name: value for name, value in connection.items() if name != "target" and value}
    shard = None if options.shard is None else Shard.parse(options.shard)
    allowance = Allowance.parse(options.max_errors)
    return request, engine_of(engine), HowToRun(options.workers, options.ray, shard, options.update, allowance)


def _stopped(out: Path, code: int) -> int:
    from jobs.plan.folder import JobFolder

    folder = JobFolder(out)
    done = ""
    if folder.has_plan:
        plan = folder.read_plan()
        finished = sum(map(folder.is_done, plan.partitions))
        done = f": {finished:,} of {len(plan.partitions):,} partitions are done; run the same command to go on"
    print(f"\nvae: stopped{done}", file=sys.stderr)
    return code


def _list_errors(errors: "Sequence[RowError]") -> None:
    from vaeserve.printable import printable

    for error in errors:
        where = f" ({printable(error.source)}, row {error.source_row})" if error.source else ""
        print(f"  row {error.row:,}{where}: {printable(error.reason)}", file=sys.stderr)


def _tell(out: Path, summary: "Summary", *, is_json: bool) -> None:
    from vaeserve.printable import printable

    if is_json:
        print(summary.model_dump_json(exclude={"files", "latents"}))
        return
    errors = f", {summary.error_rows:,} of them with an error" if summary.error_rows else ""
    shares = summary.seconds
    parts = " + ".join(f"{getattr(shares, name):.1f} s {name}" for name in ("read", "infer", "write"))
    print(
        f"{printable(out)}: {summary.done_rows:,} of {summary.rows:,} rows{errors}; "
        f"{summary.done_partitions:,} of {summary.partitions:,} partitions; {parts}"
    )


def _status(arguments: list[str]) -> int:
    """Prints how far a job is."""
    parser = verb_parser("job status", "Prints how far a job is.")
    parser.add_argument("dir", type=Path, metavar="DIR", help="the job's folder")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--errors", action="store_true", help="list every row that has an error, with its reason")
    options = parser.parse_args(arguments)
    from jobs.plan.folder import JobFolder
    from jobs.report.summary import summarize

    folder = JobFolder(options.dir)
    plan = folder.read_plan()
    _tell(options.dir, summarize(folder, plan), is_json=options.json)
    if options.errors:
        for marker in folder.markers(plan):
            _list_errors(marker.errors)
    return 0


def _verify(arguments: list[str]) -> int:
    """Checks that every row is there once, and every file as it was written."""
    parser = verb_parser("job verify", "Checks that every row is there once, and every file as it was written.")
    parser.add_argument("dir", type=Path, metavar="DIR", help="the job's folder")
    options = parser.parse_args(arguments)
    from jobs.plan.folder import JobFolder
    from jobs.report.summary import summarize
    from jobs.report.verify import problems
    from vaeserve.printable import printable

    folder = JobFolder(options.dir)
    plan = folder.read_plan()
    lines = [*problems(folder, plan)]
    for line in lines:
        print(f"vae: {printable(line)}", file=sys.stderr)
    if lines:
        return 1
    summary = summarize(folder, plan)
    rows = f"{summary.rows:,} rows, {summary.error_rows:,} of them with an error"
    print(f"{printable(options.dir)}: {rows}, each once, in {summary.partitions:,} files as they were written")
    return 0
