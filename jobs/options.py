"""What `vae job` can be asked for: its options, and what they mean."""

import argparse
from pathlib import Path

from jobs.engine.opening import EngineChoice
from jobs.job import Allowance, HowToRun, Shard
from jobs.plan.request import JobRequest
from jobs.python import engine_of
from jobs.refusals import option_of
from jobs.settings import OUTPUTS
from vaeserve.command.options import add_connection_group, read_connection
from vaeserve.command.parser import verb_parser
from vaeserve.errors import InvalidInput

_ABOUT = (
    "Batch jobs: any number of rows to files. A job that was stopped or killed goes on when the same command is "
    "run again."
)
_VERBS = {
    "encode": ("latents of rows", "Encodes every row of a source into files of latents."),
    "decode": ("rows from latents", "Decodes every latent of a source into files of rows."),
    "reconstruct": ("scores of rows", "Scores how usual every row of a source is for the model."),
    "sample": ("rows drawn from a prior", "Draws rows from a prior and decodes them into files."),
    "status": ("how far a job is", "Prints how far a job is."),
    "verify": (
        "whether a job is right",
        "Checks that every row is there once, and every file as it was written. Reads every file.",
    ),
}
_EPILOG = "Exit codes: 0 all is done; 1 failed; 2 called wrongly; 3 too many rows have an error; 130, 143 stopped."


def job_parser() -> argparse.ArgumentParser:
    """Returns the parser of `vae job`."""
    parser = verb_parser("job", _ABOUT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (summary, description) in _VERBS.items():
        of_verb = verbs.add_parser(
            verb,
            help=summary,
            description=description,
            epilog=_EPILOG if verb in OUTPUTS else "",
            allow_abbrev=False,
            slips=_slips_of(verb),
        )
        if verb in OUTPUTS:
            _add_computing(of_verb, verb)
        else:
            _add_looking(of_verb, verb)
    return parser


def _slips_of(verb: str) -> dict[str, str]:
    """Returns what to say of options that the verb of the same name has outside `vae job`."""
    if verb not in OUTPUTS:
        return {}
    if verb == "sample":
        return {"--expectation": "it is --output expectation"}
    source = f"the source has no option: `vae job {verb} SOURCE --out DIR`"
    slips = {"--input": source, "--source": source}
    if verb == "decode":
        return {**slips, "--expectation": "it is --output expectation"}
    bad = "rows with an error are left out and listed, up to --max-errors"
    return {**slips, "--skip-bad": bad, "--fit": "pictures are cropped: see --buckets"}


def _add_looking(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("out", type=Path, metavar="DIR", help="folder of the job")
    if verb == "status":
        parser.add_argument("--json", action="store_true", help="print one object of JSON")
        parser.add_argument("--errors", action="store_true", help="list every row that has an error, with its reason")


def _add_computing(parser: argparse.ArgumentParser, verb: str) -> None:
    if verb == "sample":
        parser.add_argument("--count", type=int, required=True, metavar="ROWS", help="number of rows")
    else:
        _add_source(parser, verb)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the job: new, or to go on with"
    )
    if verb in ("encode", "reconstruct"):
        _add_buckets(parser)
    _add_engine(parser)
    _add_answers(parser, verb)
    _add_files(parser)
    _add_running(parser)


def _add_source(parser: argparse.ArgumentParser, verb: str) -> None:
    what = (
        "latents: .npy, .npz, .safetensors, .parquet, or an encode job's folder"
        if verb == "decode"
        else (
            "rows: a folder of pictures; .npy, .npz, .csv, .parquet, .safetensors, .tar, IDX files, or folders of such"
        )
    )
    parser.add_argument("source", nargs="+", metavar="SOURCE", help=f"{what}; or URLs, for example s3://bucket/rows")
    parser.add_argument(
        "--columns",
        type=_names,
        default=(),
        metavar="A,B",
        help="columns of a table that become a row, or the one that holds lists; default: those that the model names",
    )
    parser.add_argument(
        "--keep", type=_names, default=(), metavar="A,B", help="columns of a table to write beside the answers"
    )


def _add_buckets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pictures of many sizes, for a model that takes many")
    group.add_argument(
        "--buckets",
        metavar="auto|WxH,...",
        help="sizes that pictures are cropped to, each to the nearest aspect ratio, for example 512x512,448x576, width "
        "first; default auto: many aspect ratios of one area",
    )
    group.add_argument(
        "--area", metavar="WxH", help="no automatic bucket has more pixels; default: the model's default size"
    )
    group.add_argument(
        "--bucket-step",
        type=int,
        metavar="PIXELS",
        help="both sides of automatic buckets are multiples of it; default 64, less where the area is below 512x512",
    )
    for name, half in (("minimum", "half"), ("maximum", "twice")):
        group.add_argument(
            f"--bucket-{name}",
            type=int,
            metavar="PIXELS",
            help=f"{name} side of automatic buckets; default: {half} the side of a square one",
        )
    group.add_argument(
        "--small",
        choices=("enlarge", "refuse"),
        help="what becomes of a picture that is smaller than its bucket; default enlarge; refuse: it has an error",
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who computes: --package or --target")
    group.add_argument("--package", type=Path, metavar="DIR", help="a model package, which the job itself runs")
    group.add_argument(
        "--provider",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="what runs the package's graphs; default: auto, which is cuda if there is a GPU",
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads that work on a batch of the package; default 1"
    )
    group.add_argument("--target", metavar="HOST:PORT", help="address of a server, which runs the model")
    group.add_argument("--model", default="", help="name of the server's model; default: its default, or the only one")
    group.add_argument("--version", type=int, default=0, help="version of the server's model; default: the newest")
    group.add_argument(
        "--batch-rows", type=int, metavar="N", help="rows that run together; default: measured when the job is planned"
    )
    add_connection_group(parser, timeout_seconds=300.0)


def _add_answers(parser: argparse.ArgumentParser, verb: str) -> None:
    group = parser.add_argument_group("answers")
    outputs = OUTPUTS[verb]  # type: ignore[index]
    option, what = ("--latent", "which latent is decoded") if verb == "reconstruct" else ("--output", "what is written")
    group.add_argument(option, dest="output", choices=outputs, help=f"{what}; default {outputs[0]}")
    if verb == "encode":
        group.add_argument(
            "--flip", action="store_true", default=None, help="encode the mirror image of each picture too"
        )
    if verb == "decode":
        group.add_argument("--codes", action="store_true", default=None, help="the source holds codes, not latents")
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
    group.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        help="type of the numbers in safetensors and npy files; default float32",
    )
    group.add_argument(
        "--partition-rows", type=int, metavar="N", help="rows of each file; default: chosen by the size of a row"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    crew = group.add_mutually_exclusive_group()
    crew.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes on this machine; default: one for each processor, or one with --target",
    )
    crew.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that hands out the partitions, for example auto")
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="compute only every N-th partition, beginning with I: N such commands share a job",
    )
    group.add_argument(
        "--update",
        action="store_true",
        help="bring a job up to date with its source: new and changed files are computed, gone ones dropped",
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


def _refuse_connection(options: argparse.Namespace) -> None:
    """Makes sure that no option says how to connect to a server that the job does not ask."""
    for name in ("tls", "root_certificates", "client_certificate", "client_key", "token_file"):
        if getattr(options, name):
            raise InvalidInput(option_of(name), "is for --target")


def read_job(options: argparse.Namespace) -> tuple[JobRequest, EngineChoice, HowToRun]:
    """Returns what the options ask for.

    Raises:
        InvalidInput: names the option.
    """
    values = {name: value for name, value in vars(options).items() if name in JobRequest.model_fields}
    request = JobRequest.parse(addresses=tuple(getattr(options, "source", ())), **values)
    engine = vars(options) | {"timeout_seconds": options.timeout}
    if options.target is not None:
        connection = read_connection(options)
        engine["connection"] = {name: value for name, value in connection.items() if name != "target" and value}
    else:
        _refuse_connection(options)
    how = HowToRun.parse(
        workers=options.workers,
        ray=options.ray,
        shard=None if options.shard is None else Shard.parse(options.shard),
        update=options.update,
        allowance=Allowance.parse(options.max_errors),
    )
    return request, engine_of(engine), how
