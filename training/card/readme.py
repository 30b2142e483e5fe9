"""The text of a card: Markdown that reads well on a page and in a terminal."""

import json
import textwrap
from collections.abc import Sequence
from math import floor, log10

from training.card.about import About, SettingValue
from training.card.picture import Picture
from training.card.table_pictures import Column
from training.evaluate.alarms import alarms
from training.evaluate.evaluation import Evaluation, PriorEvidence
from training.evaluate.report import evaluation_markdown
from training.evaluate.served import ServedPair
from vaeserve.package.manifest import STANDARD

_LINE = 100  # characters
_COLUMNS = 60  # lines of a table's table
_SKIPPED = 20  # lines that were left out of the data
_HOLES = 0.05  # share of draws where no row is that is worth a warning


def readme_text(
    pair: ServedPair, evaluation: Evaluation, about: About, pictures: Sequence[Picture], columns: Sequence[Column]
) -> str:
    """Returns the README.

    Args:
        pair: the pair.
        evaluation: what was measured.
        about: what is told besides.
        pictures: in their order.
        columns: of a table; none for images.
    """
    parts = [
        _opening(pair, about),
        f"## Figures\n\n{evaluation_markdown(evaluation).strip()}",
        *([_columns_table(columns)] if columns else []),
        "## Pictures\n\nAll are made from the graphs in this package.",
        *(
            f"### {picture.title}\n\n![{picture.title}]({picture.file})\n\n{_wrapped(picture.caption)}"
            for picture in pictures
        ),
        _use(pair, about),
        _training(about),
        _limits(pair, evaluation),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(pair: ServedPair, about: About) -> str:
    data = pair.data
    shape = " x ".join(map(str, data.shape))
    numbers = f"{data.dtype}, {data.minimum:g} to {data.maximum:g}" if data.kind == "image" else data.dtype
    what = "images" if data.kind == "image" else "table rows"
    held = f"{about.test_rows} held out"
    if about.validation_rows:
        held = f"{about.validation_rows} to choose by, {held}"
    opening = f"{_with_article(about.model)}: {what} of shape {shape} ({numbers}) to {pair.latent_size} latent values"
    points = [
        f"**Data**: {_line(about.data)}. {about.train_rows} rows to train on, {held}.",
        f"**Likelihood**: {about.likelihood}.",
        f"**Latents**: {_latents(pair)}",
        f"**Priors**: {_priors(pair, about)}",
        f"**Networks**: {about.networks}.",
    ]
    return f"""# {about.name}

{_wrapped(f"{opening} and back.")}

{chr(10).join(map(_point, points))}"""


def _latents(pair: ServedPair) -> str:
    if pair.posterior == "gaussian":
        return "a Gaussian posterior with a diagonal covariance for each row."
    return (
        "one code a row and no posterior; in training rows, each dimension has mean 0 and variance 1. "
        "What needs a posterior (samples of it, KL, ELBO) the server refuses."
    )


def _priors(pair: ServedPair, about: About) -> str:
    trained = "" if pair.posterior == "gaussian" else ", which training did not aim at"
    named = [f"`{STANDARD}` (N(0, I){trained})", *(f"`{name}`" for name in pair.priors if name != STANDARD)]
    default = f"; `{about.default_prior}` unless another is asked for" if len(named) > 1 else ""
    return f"{', '.join(named)}{default}."


def _columns_table(columns: Sequence[Column]) -> str:
    lines = [_column_line(column) for column in columns[:_COLUMNS]]
    left_out = f"\n\nThe first {_COLUMNS} of {len(columns)} columns." if len(columns) > _COLUMNS else ""
    return f"""### Columns

Mean (standard deviation), in the data's own units, of held-out rows and of what the standard prior's
draws decode to. R^2 is the share of a column's variance that its reconstruction explains.

| column | held-out data | samples | R^2 |
| --- | ---: | ---: | ---: |
{chr(10).join(lines)}{left_out}"""


def _use(pair: ServedPair, about: About) -> str:
    out = "samples.png" if pair.data.kind == "image" else "samples.npy"
    others = [name for name in pair.priors if name != about.default_prior]
    prior = f" --prior {others[0]}" if others else ""
    example = f"    vae sample --target 127.0.0.1:50051 --model {about.name} --count 64 --seed 0{prior} --out {out}"
    ending = "The same seed gives the same rows. Latents fit this pair alone: the client refuses to decode another's."
    return f"""## How to serve it

In this directory:

    vae serve .                  # 127.0.0.1:50051
{example}

or from Python, with `from vae import Client`:

    with Client("127.0.0.1:50051") as client:
        rows = client.sample(64, seed=0, model="{about.name}").output
        latents = client.encode(rows, model="{about.name}")
        again = client.decode(latents, model="{about.name}").output

{_wrapped(ending)}"""


def _training(about: About) -> str:
    notes = "".join(f"\n{_point(_line(note))}" for note in about.notes)
    text = f"## How it was trained\n\n{_settings(about)}" + (f"\n\nOf the data:\n{notes}" if notes else "")
    if not about.skipped:
        return text
    lines = "\n".join(_point(_line(line)) for line in about.skipped[:_SKIPPED])
    more = f"\n- and {len(about.skipped) - _SKIPPED} more" if len(about.skipped) > _SKIPPED else ""
    return f"{text}\n\nLeft out of the data, {len(about.skipped)} in all:\n\n{lines}{more}"


def _settings(about: About) -> str:
    told = {key: _toml(value) for key, value in about.settings.items() if value is not None}
    rest = "manifest.json has them all, the data's checksum, the libraries' versions and the proof of the graphs."
    if not told:
        return _wrapped(f"By `vae train`, every setting at its default: {rest}")
    lines = "\n".join(f"    {key} = {value}" for key, value in told.items())
    # The preset of the defaults: another kind of data takes its own where none is named.
    opening = f"By `vae train --preset digits` with `--config` and these settings, the others at their defaults: {rest}"
    return f"{_wrapped(opening)}\n\n{lines}"


def _limits(pair: ServedPair, evaluation: Evaluation) -> str:
    points = [
        "It knows the data that it was trained on. Other data is encoded as readily, and means nothing.",
        "What it decodes to is an expectation, or that rounded: the likelihood's own noise is not drawn.",
        *(f"{alarm[0].upper()}{alarm[1:]}." for alarm in alarms(evaluation)),
        *(_holes(prior) for prior in evaluation.priors if prior.hole_fraction > _HOLES),
    ]
    idle = pair.latent_size - evaluation.active_units if evaluation.active_units is not None else 0
    if 0 < idle < pair.latent_size:
        points.append(f"Idle latent dimensions: {idle} of {pair.latent_size}. Moving them changes next to nothing.")
    points.append("The licence of the data, and what it allows of this model, is for you to add: this card knows none.")
    return "## Limits\n\n" + "\n".join(map(_point, points))


def _holes(prior: PriorEvidence) -> str:
    return f"{prior.hole_fraction:.0%} of the draws from prior `{prior.name}` lie where no row's latent does."


def _column_line(column: Column) -> str:
    spread = column.data[1] or column.samples[1]
    digits = min(8, max(0, 2 - floor(log10(spread)))) if spread else 2
    data, samples = (f"{mean:.{digits}f} ({deviation:.{digits}f})" for mean, deviation in (column.data, column.samples))
    return f"| {_cell(column.name)} | {data} | {samples} | {_share(column.explained)} |"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _toml(value: SettingValue) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    """Returns a name as one cell of a table, where a bar would begin the next."""
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    """Returns a text as one line that Markdown and HTML leave alone."""
    kept = " ".join(text.split())
    for character in "\\`*_<[":
        kept = kept.replace(character, f"\\{character}")
    return kept


def _point(text: str) -> str:
    return _wrapped(f"- {text}", indent="  ")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _LINE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _with_article(text: str) -> str:
    return f"{'An' if text[:1].lower() in 'aeio' else 'A'} {text}"
