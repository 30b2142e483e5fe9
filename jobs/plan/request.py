"""JobRequest: what the user asked for; what is left open is chosen, or is as the job was begun."""

from pydantic import field_validator

from jobs.engine.answers import check_settings
from jobs.plan.bucketing import choose_buckets, sizes_of
from jobs.plan.buckets import parse_size, parse_sizes
from jobs.refusals import Options, option_of
from jobs.settings import (
    OUTPUTS,
    BatchRows,
    Bucketing,
    Count,
    Dtype,
    FileFormat,
    JobSettings,
    JobVerb,
    ListKind,
    ModelFacts,
    Rows,
    Seed,
    Temperature,
    Threads,
    rows_of_source,
)
from jobs.sinks.sink import check_format, default_format
from vaeserve.client.call import choose_seed
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable
from vaeserve.slices import rows_within

_PARTITION_ROWS, _PARTITION_BYTES = 262_144, 256 * 2**20


class JobRequest(Bucketing, Options):
    """A job as the user describes it. None and empty: left open."""

    verb: JobVerb
    addresses: tuple[str, ...] = ()
    """Files, folders or URLs of the source."""
    output: str | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    prior: str | None = None
    count: Count | None = None
    format: FileFormat | None = None
    lists: ListKind | None = None
    dtype: Dtype | None = None
    flip: bool | None = None
    codes: bool | None = None
    columns: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    partition_rows: Rows | None = None
    batch_rows: BatchRows | None = None
    threads: Threads | None = None

    @field_validator("buckets", mode="before")
    @classmethod
    def _parse_buckets(cls, value: object) -> object:
        return parse_sizes(value, "--buckets") if isinstance(value, str) and value != "auto" else value

    @field_validator("area", mode="before")
    @classmethod
    def _parse_area(cls, value: object) -> object:
        return parse_size(value, "--area") if isinstance(value, str) else value

    def settings(self, model: ModelFacts, batch_rows: int) -> JobSettings:
        """Returns a new job's settings, with everything chosen.

        Raises:
            InvalidInput: names the option; the model or the format cannot do it.
        """
        output = self.output or OUTPUTS[self.verb][0]
        if output not in OUTPUTS[self.verb]:
            raise InvalidInput(
                option_of("output", self.verb), f"is {output!r}, must be one of {', '.join(OUTPUTS[self.verb])}"
            )
        bucketing = self._bucketing(model)
        is_sample = self.verb == "sample"
        settings = JobSettings(
            verb=self.verb,
            output=output,
            seed=choose_seed(self.seed) if is_sample or output == "sample" else self.seed,
            temperature=(self.temperature or 1.0) if is_sample else self.temperature,
            prior=self.prior or (model.default_prior if is_sample else ""),
            count=self.count,
            format=self.format or default_format(self.verb, model),
            lists=self.lists or "plain",
            dtype=self.dtype or "float32",
            flip=bool(self.flip),
            codes=bool(self.codes),
            columns=self.columns,
            keep=self.keep,
            partition_rows=self.partition_rows or _partition_rows(self.verb, model.at(_largest(bucketing, model))),
            **bucketing.model_dump(),
            batch_rows=batch_rows,
            threads=self.threads or 1,
        )
        if settings.seed is not None and not settings.is_drawn:
            option = option_of("output", self.verb)
            raise InvalidInput("--seed", f"is for {option} sample, not for {option} {output}")
        check_settings(settings, model)
        check_format(settings, model)
        return settings

    def _bucketing(self, model: ModelFacts) -> Bucketing:
        """Returns how pictures are brought to a few sizes.

        Raises:
            InvalidInput: names the option.
        """
        if model.data.sizes is not None and self.verb in ("encode", "reconstruct"):
            return choose_buckets(self, model.data.sizes)
        for name in Bucketing.model_fields:
            if getattr(self, name) is not None:
                why = "this verb reads none" if model.data.sizes else f"model {printable(model.name)} takes one"
                raise InvalidInput(option_of(name), f"is for pictures of many sizes: {why}")
        return Bucketing()

    def check_same(self, settings: JobSettings, place: str) -> None:
        """Refuses to go on with a job that was begun with other settings.

        Raises:
            InvalidInput: names the first option that differs.
        """
        for name, wanted in self:
            begun = getattr(settings, name, None)
            if name != "addresses" and wanted not in (None, (), begun):
                raise InvalidInput(
                    option_of(name, self.verb), f"is {_text(wanted)}, the job in {place} was begun with {_text(begun)}"
                )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, PictureSize):
        return value.label
    return ",".join(map(_text, value)) or "none" if isinstance(value, tuple) else str(value)


def _largest(bucketing: Bucketing, model: ModelFacts) -> PictureSize | None:
    """Returns the largest size that rows are expected to have; None: it is not free."""
    if model.data.sizes is None:
        return None
    return max(sizes_of(bucketing), key=lambda size: size.pixels, default=model.data.sizes.default)


def _partition_rows(verb: JobVerb, model: ModelFacts) -> int:
    """Returns how many rows a partition has by default: as many as take a few hundred megabytes to read or to write.

    Of the smallest rows there are enough that the syncing of two files to disk is a hundredth of the work.
    """
    row_bytes = rows_of_source(verb, model).bytes_of(1, "float32") + model.latent.bytes_of(1)
    if verb in ("decode", "sample"):
        row_bytes += model.data.bytes_of(1, "float32")
    return rows_within(row_bytes, _PARTITION_ROWS, _PARTITION_BYTES)
