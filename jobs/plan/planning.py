"""Makes a job's plan, or finds the one that is there, and says in one line what differs."""

import secrets
import shutil
from collections.abc import Iterable
from contextlib import closing
from math import prod
from pathlib import Path

from jobs.engine.answers import written_columns
from jobs.engine.opening import EngineChoice, plan_engine, read_fingerprint
from jobs.plan.changes import Changes, compare
from jobs.plan.cutting import SourceDigest
from jobs.plan.folder import JobFolder
from jobs.plan.notes import FileNotes
from jobs.plan.partitions import PlannedRows, partitions_of, write_spans
from jobs.plan.plan import Plan, SourceFacts
from jobs.plan.request import JobRequest
from jobs.refusals import option_of
from jobs.rows import RowSource
from jobs.settings import Bucketing, JobSettings, ModelFacts, rows_of_source
from jobs.sources.opening import open_planned
from vaeserve.errors import InvalidInput
from vaeserve.printable import printable

_GIB = 2**30


def find_plan(
    folder: JobFolder, request: JobRequest, engine: EngineChoice, *, trusts_source: bool, updates: bool
) -> Plan:
    """Returns the plan of a job: the one that is there, or a new one.

    Args:
        folder: the job's.
        request: what is asked for.
        engine: who computes.
        trusts_source: whether a plan that is there is taken without listing and hashing its source again. What is read
            is compared with the plan in any case.
        updates: whether a plan that is there is brought up to date with its source.

    Raises:
        InvalidInput: names what is wrong, or what differs from the job that was begun here.
        VaeError: the source, the package or the service cannot be used.
    """
    if not folder.has_plan:
        draft = secrets.token_hex(4)
        try:
            plan = _new_plan(folder, request, engine, draft)
        except BaseException:
            folder.drop_draft(draft)
            folder.leave()
            raise
        request.check_same(plan.settings, printable(folder.out))  # another process may have planned at the same time
        return plan
    plan = folder.read_plan()
    request.check_same(plan.settings, printable(folder.out))
    fingerprint = read_fingerprint(engine, plan.model)
    if fingerprint != plan.model.fingerprint:
        raise InvalidInput(
            "the model",
            f"is pair {fingerprint[:12]}..., the job in {printable(folder.out)} was begun with "
            f"{plan.model.fingerprint[:12]}...",
        )
    if plan.source is None or (trusts_source and not updates):
        return plan
    return _compared(folder, plan, request, updates=updates)


def _new_plan(folder: JobFolder, request: JobRequest, engine: EngineChoice, draft: str) -> Plan:
    """Returns the plan of a new job, or the one that another process has published meanwhile."""
    facts, batch_rows = plan_engine(engine, request.verb, request.threads or 1, request.batch_rows or 0)
    settings = request.settings(facts, batch_rows)
    _check_apart(folder, request.addresses)
    folder.prepare()
    if request.verb == "sample":
        rows = settings.count or 0
        size = facts.data.sizes.default if facts.data.sizes else None
        starts = range(0, rows, settings.partition_rows)
        cuts = [PlannedRows(min(settings.partition_rows, rows - start), size, "") for start in starts]
        _check_space(folder, settings, facts, cuts)
        partitions = partitions_of(cuts, settings, 0, 0)
        return folder.publish_plan(
            Plan(settings=settings, model=facts, source=None, rows=rows, next_row=rows, partitions=partitions)
        )
    spec = rows_of_source(request.verb, facts, codes=settings.codes)
    with closing(open_planned(request.addresses, spec, settings)) as source:
        settings = _for_kind(settings, request, source.kind)
        listing = SourceDigest(source.files())
        cuts = write_spans(folder, listing, settings, 0, draft)
        if not listing.rows:
            raise InvalidInput(", ".join(map(printable, request.addresses)), "holds no rows")
        _check_space(folder, settings, facts, cuts)
        plan = Plan(
            settings=settings.model_copy(update={"columns": source.columns}),
            model=facts,
            source=_source_facts(source, request.addresses, listing, ()),
            rows=listing.rows,
            next_row=listing.rows,
            partitions=partitions_of(cuts, settings, 0, 0),
        )
    published = folder.publish_plan(plan)
    if published != plan:
        folder.drop_draft(draft)
    return published


def _compared(folder: JobFolder, plan: Plan, request: JobRequest, *, updates: bool) -> Plan:
    """Returns the plan if its source is as it was, or the plan of an update."""
    settings = plan.settings
    addresses = request.addresses or (plan.source.addresses if plan.source else ())
    spec = rows_of_source(settings.verb, plan.model, codes=settings.codes)
    with (
        closing(open_planned(addresses, spec, settings)) as source,
        closing(FileNotes(folder.out)) as notes,
    ):
        listing = SourceDigest(notes.take(source.files()))
        for _ in listing:
            pass
        facts = _source_facts(source, addresses, listing, plan.source.classes if plan.source else ())
        if plan.source is None or facts.digest != plan.source.digest:
            changes = compare(folder, plan, notes.files())
        elif addresses == plan.source.addresses:
            return plan
        else:  # the same files, in another place
            plan = plan.model_copy(update={"source": plan.source.model_copy(update={"addresses": addresses})})
            folder.replace_plan(plan)
            return plan
    if not updates:
        raise InvalidInput(
            "the source", f"is not as it was when the job was planned: {changes}; --update takes the source as it is"
        )
    return _updated(folder, plan, facts, changes)


def _updated(folder: JobFolder, plan: Plan, facts: SourceFacts, changes: Changes) -> Plan:
    """Writes and returns the plan with new partitions for new rows, and without those that hold rows that are gone."""
    update = plan.update + 1
    cuts = write_spans(folder, changes.files, plan.settings, update, secrets.token_hex(4))
    dropped = {partition.key for partition in changes.dropped}
    others = [partition for partition in plan.partitions if partition.key not in dropped]
    new = partitions_of(cuts, plan.settings, update, plan.next_row)
    updated = plan.model_copy(
        update={
            "source": facts,
            "rows": sum(partition.rows for partition in (*others, *new)),
            "next_row": plan.next_row + sum(each.rows for each in cuts),
            "update": update,
            "partitions": (*others, *new),
        }
    )
    folder.summary.unlink(missing_ok=True)  # it is about to be wrong
    for partition in changes.dropped:  # before the plan forgets them, so that no file is left over by a kill
        folder.drop(partition)
    folder.replace_plan(updated)
    for partition in changes.dropped:
        folder.drop_spans(partition)
    return updated


def _for_kind(settings: JobSettings, request: JobRequest, kind: str) -> JobSettings:
    """Returns the settings without buckets, where the source does not hold pictures that can be cropped.

    Raises:
        InvalidInput: names an option of buckets that was asked for then.
    """
    if kind in ("pictures", "archives"):
        return settings
    for name in Bucketing.model_fields:
        if getattr(request, name) is not None:
            raise InvalidInput(option_of(name), f"is for pictures of many sizes: the source holds {kind}")
    return settings.model_copy(update=Bucketing().model_dump())


def _source_facts(
    source: RowSource, addresses: tuple[str, ...], listing: SourceDigest, earlier: tuple[str, ...]
) -> SourceFacts:
    """Returns what a plan notes of a source. Earlier classes keep their labels; new ones come after them."""
    classes = listing.folders.classes() if source.kind == "pictures" else ()
    return SourceFacts(
        addresses=addresses,
        kind=source.kind,
        files=listing.files,
        digest=listing.digest,
        classes=(*earlier, *(name for name in classes if name not in earlier)),
    )


def _check_apart(folder: JobFolder, addresses: Iterable[str]) -> None:
    """Refuses a folder inside the source, where its files would be taken for rows."""
    out = folder.out.resolve()
    for address in addresses:
        if "://" not in address and Path(address).is_dir() and out.is_relative_to(Path(address).resolve()):
            raise InvalidInput(
                printable(folder.out), f"lies inside the source {printable(address)}: name a folder outside"
            )


def _check_space(folder: JobFolder, settings: JobSettings, model: ModelFacts, cuts: list[PlannedRows]) -> None:
    """Refuses a job whose numbers alone would not fit on the disk, compressed to a half in Parquet."""
    rows, needed = 0, 0
    for cut_rows, size, _ in cuts:
        rows += cut_rows
        needed += cut_rows * _row_bytes(settings, model.at(size))
    needed //= 2 if settings.format == "parquet" else 1
    free = shutil.disk_usage(folder.out).free
    if needed > free:
        raise InvalidInput(
            printable(folder.out), f"needs about {_amount(needed)} for {rows:,} rows, {_amount(free)} are free"
        )


def _row_bytes(settings: JobSettings, model: ModelFacts) -> int:
    """Returns how many bytes the answers to a row take."""
    widths = {"uint8": 1, "uint16": 2, "float32": 2 if settings.dtype == "float16" else 4}
    return sum(prod(shape) * widths[dtype] for dtype, shape in written_columns(settings, model).values())


def _amount(size: float) -> str:
    """Returns a number of bytes as text."""
    return f"{size / _GIB:,.1f} GiB" if size >= _GIB else f"{size / 2**20:.1f} MiB"
