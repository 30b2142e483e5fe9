"""The Python functions: `vaeserve.jobs.encode(source, out, package=...)` and its kin."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, TypedDict, Unpack, get_type_hints

from jobs.engine.opening import EngineChoice
from jobs.job import Allowance, HowToRun, Shard, run_job
from jobs.plan.request import JobRequest
from jobs.refusals import option_of
from jobs.report.summary import Summary
from jobs.run.progress import Speaker
from jobs.settings import JobVerb
from vaeserve.client.options import ConnectionOptions
from vaeserve.command.parser import did_you_mean
from vaeserve.errors import InvalidInput

Address = str | Path


class JobOptions(TypedDict, total=False):
    """What every job takes; the options of the command have the same names."""

    package: Address | None
    provider: str
    target: str | None
    model: str
    version: int
    connection: ConnectionOptions
    timeout_seconds: float
    format: str
    lists: str
    dtype: str
    partition_rows: int
    batch_rows: int
    threads: int
    workers: int
    ray: str | None
    shard: str | None
    update: bool
    max_errors: str | int
    progress: bool


class SourceOptions(JobOptions, total=False):
    """What jobs that read a source take."""

    columns: Sequence[str]
    keep: Sequence[str]


class PictureOptions(SourceOptions, total=False):
    """What jobs that read pictures take."""

    buckets: str | Sequence[str]
    area: str
    bucket_step: int
    bucket_minimum: int
    bucket_maximum: int
    small: str


class EncodeJobOptions(PictureOptions, total=False):
    """What jobs that encode take."""

    flip: bool


def encode(
    source: Address | Sequence[Address],
    out: Address,
    *,
    output: str | None = None,
    seed: int | None = None,
    **options: Unpack[EncodeJobOptions],
) -> Summary:
    """Encodes every row of a source, and writes the latents; goes on with the job if `out` holds it.

    Args:
        source: files, folders or URLs, as `vae job encode` takes them.
        out: the job's folder.
        output: "mean", "sample", "moments" or "codes"; None: the mean, or as the job was begun.
        seed: of a sample.
        **options: `package` or `target`, and all else that `vae job encode --help` lists.

    Raises:
        TooManyErrors: more rows have an error than `max_errors` allows.
        VaeError: the job cannot begin or go on.
    """
    return _run("encode", source, out, {"output": output, "seed": seed}, options)


def decode(
    source: Address | Sequence[Address],
    out: Address,
    *,
    output: str | None = None,
    codes: bool | None = None,
    **options: Unpack[SourceOptions],
) -> Summary:
    """Decodes every latent of a source, for example of an encode job's folder. See `encode`.

    Args:
        source: latents, or codes.
        out: the job's folder.
        output: "data" or "expectation".
        codes: whether the source holds codes; None: latents, or as the job was begun.
        **options: as of `encode`.

    Raises:
        VaeError: as `encode` does.
    """
    return _run("decode", source, out, {"output": output, "codes": codes}, options)


def reconstruct(
    source: Address | Sequence[Address],
    out: Address,
    *,
    latent: str | None = None,
    seed: int | None = None,
    **options: Unpack[PictureOptions],
) -> Summary:
    """Scores how usual every row of a source is for the model. See `encode`.

    Args:
        source: rows of data.
        out: the job's folder.
        latent: which latent is decoded: "mean" or "sample".
        seed: of a sample.
        **options: as of `encode`.

    Raises:
        VaeError: as `encode` does.
    """
    return _run("reconstruct", source, out, {"output": latent, "seed": seed}, options)


def sample(
    count: int,
    out: Address,
    *,
    output: str | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    prior: str | None = None,
    **options: Unpack[JobOptions],
) -> Summary:
    """Draws rows from a prior and decodes them. See `encode`.

    Args:
        count: number of rows.
        out: the job's folder.
        output: "data" or "expectation".
        seed: of the draw.
        temperature: factor on the standard deviation of the noise.
        prior: its name; None: the model's default.
        **options: as of `encode`.

    Raises:
        VaeError: as `encode` does.
    """
    asked = {"output": output, "seed": seed, "temperature": temperature, "prior": prior, "count": count}
    return _run("sample", (), out, asked, options)


_SOURCE_OPTIONS = get_type_hints(SourceOptions).keys()
_OPTIONS: dict[JobVerb, Set[str]] = {
    "encode": get_type_hints(EncodeJobOptions).keys(),
    "decode": _SOURCE_OPTIONS,
    "reconstruct": get_type_hints(PictureOptions).keys(),
    "sample": get_type_hints(JobOptions).keys(),
}
_OF_PACKAGE, _OF_SERVER = ("provider", "threads"), ("model", "version", "connection")
_OF_REQUEST = (
    *("flip", "format", "lists", "dtype", "partition_rows", "batch_rows", "threads", "columns", "keep"),
    *("buckets", "area", "bucket_step", "bucket_minimum", "bucket_maximum", "small"),
)


def _run(
    verb: JobVerb,
    source: Address | Sequence[Address],
    out: Address,
    asked: dict[str, Any],
    options: Any,  # noqa: ANN401, one of the dictionaries
) -> Summary:
    if unknown := sorted(options.keys() - _OPTIONS[verb]):
        raise TypeError(
            f"{verb}() got an unexpected keyword argument {unknown[0]!r}{did_you_mean(unknown[0], _OPTIONS[verb])}"
        )
    addresses = (source,) if isinstance(source, str | Path) else source
    if not all(isinstance(address, str | Path) for address in addresses):
        raise InvalidInput("source", "must be a path or URL, or a list of them; `Client` and `Local` take arrays")
    listed = {name: options[name] for name in _OF_REQUEST if name in options}
    if isinstance(listed.get("buckets"), Sequence) and not isinstance(listed["buckets"], str):
        listed["buckets"] = ",".join(listed["buckets"])
    request = JobRequest.parse(verb=verb, addresses=tuple(map(str, addresses)), **asked, **listed)
    shard = options.get("shard")
    how = HowToRun.parse(
        workers=options.get("workers", 0),
        ray=options.get("ray"),
        shard=Shard.parse(str(shard)) if shard else None,
        update=options.get("update", False),
        allowance=Allowance.parse(str(options.get("max_errors", "0.1%"))),
    )
    speaker = Speaker("auto" if options.get("progress") else "quiet")
    return run_job(request, engine_of(options), Path(out), how, speaker)


def engine_of(options: Any) -> EngineChoice:  # noqa: ANN401
    """Returns who computes.

    Raises:
        InvalidInput: neither a package nor a server is named, or both are, or an option is for the other one.
    """
    package, target = options.get("package"), options.get("target")
    if (package is None) == (target is None):
        raise InvalidInput(
            "--package or --target", "must be given, one of the two: a package to run here, or the address of a server"
        )
    ignored, other = (_OF_SERVER, "--target") if target is None else (_OF_PACKAGE, "--package")
    for name in ignored:
        if options.get(name) not in (None, "", 0, "auto", {}):
            raise InvalidInput(option_of(name), f"is for {other}")
    return EngineChoice.parse(
        package=None if package is None else Path(package).absolute(),
        provider=options.get("provider", "auto"),
        target=target,
        model=options.get("model", ""),
        model_version=options.get("version", 0),
        timeout_seconds=options.get("timeout_seconds", 300.0),
        connection=dict(options.get("connection", {})),
    )
