"""Opens what computes: a package in this process, or a service."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from jobs.engine.answers import Computer
from jobs.refusals import Options
from jobs.settings import JobSettings, JobVerb, ModelFacts
from vaeserve.errors import InvalidInput
from vaeserve.package.directory import read_manifest

DEFAULT_BATCH_ROWS = 256  # of a service, which makes its own batches


class EngineChoice(Options):
    """Who computes: one of `package` and `target`."""

    package: Path | None = None
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    target: str | None = None
    model: str = ""
    """Of the service; empty: its default, or its only one."""
    model_version: int = Field(0, ge=0)
    """Of the service; 0: the newest."""
    timeout_seconds: float = Field(300.0, gt=0)
    """How long an absent service is waited for."""
    connection: dict[str, Any] = Field(default_factory=dict)
    """Of the service: token, certificates, TLS; as `Client` takes them."""


class Planned(NamedTuple):
    """What a plan notes of who computes."""

    facts: ModelFacts
    batch_rows: int


def plan_engine(choice: EngineChoice, verb: JobVerb, threads: int, batch_rows: int) -> Planned:
    """Returns the model as it is now, and how many rows run together.

    Args:
        choice: who computes.
        verb: the job's.
        threads: of one batch.
        batch_rows: maximum rows in one batch; 0: measured.

    Raises:
        VaeError: the package or the service cannot be used.
    """
    if choice.package is not None:
        from jobs.engine.package import open_package

        opened = open_package(choice.package, choice.provider, threads, batch_rows)
        return Planned(opened.facts, opened.proved.execution.batch_rows)
    from jobs.engine.service import facts_of
    from vaeserve.command.health_check import check_listening

    with _client(choice) as client:
        check_listening(client.connection)
        model = client.get_model(choice.model, choice.model_version)
        scored = None
        if verb == "reconstruct":  # a service does not tell whether it has a likelihood graph
            row = model.data.smallest.blank(1)
            scored = client.reconstruct(row, model=model.name, version=model.version).log_likelihood
        return Planned(facts_of(model, has_likelihood=scored is not None), batch_rows or DEFAULT_BATCH_ROWS)


def read_fingerprint(choice: EngineChoice, planned: ModelFacts) -> str:
    """Returns the fingerprint of the pair that would compute now, without opening its graphs.

    Raises:
        VaeError: the package or the service cannot be used.
    """
    if choice.package is not None:
        return read_manifest(choice.package).fingerprint
    from vaeserve.command.health_check import check_listening

    with _client(choice) as client:
        check_listening(client.connection)
        fingerprint: str = client.get_model(planned.name, planned.version).fingerprint
        return fingerprint


def open_computer(choice: EngineChoice, facts: ModelFacts, settings: JobSettings) -> Computer:
    """Opens what computes a planned job.

    Raises:
        InvalidInput: it is another pair than the plan's, or runs on another provider.
        VaeError: the package or the service cannot be used.
    """
    if choice.package is not None:
        from jobs.engine.package import PackageComputer, open_package

        provider = choice.provider if choice.provider != "auto" else facts.provider
        opened = open_package(choice.package, provider, settings.threads, settings.batch_rows)  # type: ignore[arg-type]
        check_same(opened.facts, facts)
        return PackageComputer(opened, settings)
    from jobs.engine.service import ServiceComputer

    return ServiceComputer(_client(choice), facts, settings, choice.timeout_seconds)


def check_same(found: ModelFacts, planned: ModelFacts) -> None:
    """Refuses another pair than the plan's.

    Raises:
        InvalidInput: names what differs.
    """
    for name, what in (("fingerprint", "pair"), ("provider", "provider")):
        one, other = getattr(found, name), getattr(planned, name)
        if one != other:
            raise InvalidInput(f"model {found.name}", f"is {what} {one[:12]}, the job was planned for {other[:12]}")


def _client(choice: EngineChoice) -> Any:  # noqa: ANN401, gRPC loads where it is needed
    from vaeserve.client.blocking import Client

    if choice.target is None:
        raise InvalidInput("--package", "is missing: name a package, or a service by --target")
    return Client(choice.target, timeout_seconds=choice.timeout_seconds, bulk=True, **choice.connection)
