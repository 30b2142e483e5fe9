"""Makes a job's plan, or finds the one that is there, and says in one line what differs."""

import secrets
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from jobs.engine.answers import written_columns
from jobs.engine.opening import EngineChoice, plan_engine, read_fingerprint
from jobs.plan.changes import Changes, compare
from jobs.plan.cutting import SourceDigest, cut
from jobs.plan.folder import JobFolder
from jobs.plan.notes import FileNotes
from jobs.plan.plan import Partition, Plan, SourceFacts
from jobs.plan.request import JobRequest
from jobs.rows import RowSource, SourceFile
from jobs.settings import JobSettings, ModelFacts, rows_of_source
from jobs.sinks.sink import SUFFIXES
from jobs.sources.opening import open_source
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
        _check_space(folder, settings, facts, rows)
        starts = range(0, rows, settings.partition_rows)
        cuts = [_Cut(min(settings.partition_rows, rows - start), "") for start in starts]
        partitions = _partitions(cuts, settings, 0, 0)
        return folder.publish_plan(
            Plan(settings=settings, model=facts, source=None, rows=rows, next_row=rows, partitions=partitions)
        )
    spec = rows_of_source(request.verb, facts)
    with closing(open_source(request.addresses, spec, settings.columns, settings.keep)) as source:
        listing = SourceDigest(source.files())
        cuts = _write_spans(folder, listing, settings, 0, draft)
        if not listing.rows:
            raise InvalidInput(", ".join(map(printable, request.addresses)), "holds no rows")
        _check_space(folder, settings, facts, listing.rows)
        plan = Plan(
            settings=settings.model_copy(update={"columns": source.columns}),
            model=facts,
            source=_source_facts(source, request.addresses, listing, ()),
            rows=listing.rows,
            next_row=listing.rows,
            partitions=_partitions(cuts, settings, 0, 0),
        )
    published = folder.publish_plan(plan)
    if published != plan:
        folder.drop_draft(draft)
    return published


def _compared(folder: JobFolder, plan: Plan, request: JobRequest, *, updates: bool) -> Plan:
    """Returns the plan if its source is as it was, or the plan of an update."""
    settings = plan.settings
    addresses = request.addresses or (plan.source.addresses if plan.source else ())
    spec = rows_of_source(settings.verb, plan.model)
    with (
        closing(open_source(addresses, spec, settings.columns, settings.keep)) as source,
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
    cuts = _write_spans(folder, changes.files, plan.settings, update, secrets.token_hex(4))
    dropped = {partition.key for partition in changes.dropped}
    others = [partition for partition in plan.partitions if partition.key not in dropped]
    new = _partitions(cuts, plan.settings, update, plan.next_row)
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


class _Cut(NamedTuple):
    """What was cut for one partition."""

    rows: int
    spans: str
    """Name of its spans."""


def _write_spans(
    folder: JobFolder, files: Iterable[SourceFile], settings: JobSettings, update: int, draft: str
) -> list[_Cut]:
    """Writes the spans of each partition as it is cut."""
    cuts = []
    for number, spans in enumerate(cut(files, settings.partition_rows)):
        name = f"{_key(number, update)}-{draft}"
        folder.write_spans(name, spans)
        cuts.append(_Cut(sum(span.rows for span in spans), name))
    return cuts


def _partitions(cuts: list[_Cut], settings: JobSettings, update: int, first_row: int) -> tuple[Partition, ...]:
    partitions = []
    for number, (rows, spans) in enumerate(cuts):
        name = f"part-{number:05d}-of-{len(cuts):05d}" + (f"-update-{update:03d}" if update else "")
        file, key = name + SUFFIXES[settings.format], _key(number, update)
        partitions.append(Partition(key=key, spans=spans, file=file, first_row=first_row, rows=rows))
        first_row += rows
    return tuple(partitions)


def _key(number: int, update: int) -> str:
    return f"{number:05d}" + (f"-update-{update:03d}" if update else "")


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


def _check_space(folder: JobFolder, settings: JobSettings, model: ModelFacts, rows: int) -> None:
    """Refuses a job whose numbers alone would not fit on the disk, compressed to a half in Parquet."""
    row_bytes = 0
    for dtype, shape in written_columns(settings, model).values():
        size = 1
        for axis in shape:
            size *= axis
        row_bytes += size * (1 if dtype == "uint8" else 2 if settings.dtype == "float16" else 4)
    needed = rows * row_bytes // (2 if settings.format == "parquet" else 1)
    free = shutil.disk_usage(folder.out).free
    if needed > free:
        raise InvalidInput(
            printable(folder.out), f"needs about {_amount(needed)} for {rows:,} rows, {_amount(free)} are free"
        )


def _amount(size: float) -> str:
    """Returns a number of bytes as text."""
    return f"{size / _GIB:,.1f} GiB" if size >= _GIB else f"{size / 2**20:.1f} MiB"
