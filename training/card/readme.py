"""The text of a card: Markdown that reads well on a page and in a terminal."""

from collections.abc import Sequence
from math import log2

from training.card.about import About
from training.card.markdown import escaped, line_of_toml, point, wrapped
from training.card.picture import Picture
from training.card.table_pictures import Column, columns_table
from training.evaluate.alarms import alarms
from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import PriorEvidence
from training.evaluate.report import evaluation_markdown
from training.evaluate.served import ServedPair
from training.evaluate.summary import evaluation_summary, recommended_prior
from vaeserve.package.manifest import STANDARD

_SKIPPED = 20  # maximum number of lines about what was left out of the data
_PICTURES = "## Pictures\n\nAll of them are made from the graphs in this package."
_HOLES = 0.05  # a larger share of draws where no row lies is worth a warning


def readme_text(
    pair: ServedPair, evaluation: Evaluation, about: About, pictures: Sequence[Picture], columns: Sequence[Column]
) -> str:
    """Returns the README.

    Args:
        pair: encoder, decoder and priors.
        evaluation: its figures.
        about: facts that cannot be measured.
        pictures: the pictures, in the order in which they are shown.
        columns: columns of a table; empty for images.
    """
    parts = [
        _opening(pair, about),
        _brief(evaluation),
        _use(pair, about, recommended_prior(evaluation)),
        _PICTURES if about.curve is None else _PICTURES.replace("All of them", "All but the last"),
        *(
            f"### {picture.title}\n\n![{picture.title}]({picture.file})\n\n{wrapped(picture.caption)}"
            for picture in pictures
        ),
        f"## Figures\n\n{evaluation_markdown(evaluation).strip()}",
        *([columns_table(columns)] if columns else []),
        _training(about),
        _limits(pair, evaluation),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(pair: ServedPair, about: About) -> str:
    data = pair.data
    shape = " x ".join(map(str, data.shape))
    numbers = f"{data.dtype}, {data.minimum:g} to {data.maximum:g}" if data.kind == "image" else data.dtype
    rows = "images" if data.kind == "image" else "table rows"
    held_out = f"{about.test_rows} held out"
    if about.validation_rows:
        held_out = f"{about.validation_rows} to validate on, {held_out}"
    opening = (
        f"{_with_article(about.model)} that maps {rows} of shape {shape} ({numbers}) to {pair.latent_size} latent "
        "values and back."
    )
    points = [
        f"**Data**: {escaped(about.data)}. {about.train_rows} rows to train on, {held_out}.",
        f"**Likelihood**: {about.likelihood}.",
        f"**Latents**: {_latents(pair, about)}",
        f"**Priors**: {_priors(pair, about)}",
        f"**Networks**: {about.networks}.",
        *([f"**Training**: {about.epochs}."] if about.epochs else []),
    ]
    return f"# {about.name}\n\n{wrapped(opening)}\n\n" + "\n".join(map(point, points))


def _brief(evaluation: Evaluation) -> str:
    lines = (f"{line[0].upper()}{line[1:]}." for line in evaluation_summary(evaluation))
    return "## In brief\n\n" + "\n".join(map(point, lines))


def _latents(pair: ServedPair, about: About) -> str:
    if pair.posterior == "gaussian":
        return "a Gaussian posterior with a diagonal covariance for each row."
    if pair.levels:
        counts = " to ".join(map(str, dict.fromkeys((min(pair.levels), max(pair.levels)))))
        bits = sum(map(log2, pair.levels))
        return (
            f"codes, without a posterior: each value is one of {counts} levels, so a row takes at most {bits:.1f} bits."
            " Encode answers codes if asked for them (CODES), and Decode takes them. Calls that need a posterior are "
            "refused."
        )
    refused = "The server refuses calls that need a posterior: its samples, KL or ELBO."
    if about.encoder_afterwards:
        return (
            "one latent for each row and no posterior. The decoder was trained first, on draws from N(0, I). The "
            f"encoder was trained afterwards, to find the draw that a decoded row comes from. {refused}"
        )
    return (
        "one latent for each row and no posterior. Over the training rows each dimension has mean 0 and variance 1. "
        f"{refused}"
    )


def _priors(pair: ServedPair, about: About) -> str:
    follows = (pair.posterior == "gaussian" and pair.model_prior == STANDARD) or about.encoder_afterwards
    trained = "" if follows else ", which the latents need not follow"
    names = [f"`{STANDARD}` (N(0, I){trained})", *(f"`{name}`" for name in pair.priors if name != STANDARD)]
    default = f"; `{about.default_prior}` is the default" if len(names) > 1 else ""
    return f"{', '.join(names)}{default}."


def _use(pair: ServedPair, about: About, recommended: str | None) -> str:
    """Returns how to serve the pair, and to draw from the prior that the evidence recommends."""
    out = "samples.png" if pair.data.kind == "image" else "samples.npy"
    prior = f" --prior {recommended}" if recommended not in (None, about.default_prior) else ""
    example = f"    vae sample --target 127.0.0.1:50051 --model {about.name} --count 64 --seed 0{prior} --out {out}"
    ending = (
        "The same seed gives the same rows. Latents belong to this pair. The client refuses to decode latents of "
        "another pair."
    )
    return f"""## How to serve it

In this directory:

    vae serve .                  # 127.0.0.1:50051
{example}

or from Python, with `from vaeserve import Client`:

    with Client("127.0.0.1:50051") as client:
        rows = client.sample(64, seed=0, model="{about.name}").output
        latents = client.encode(rows, model="{about.name}")
        again = client.decode(latents, model="{about.name}").output

{wrapped(ending)}"""


def _training(about: About) -> str:
    notes = "".join(f"\n{point(escaped(note))}" for note in about.notes)
    text = f"## How it was trained\n\n{_settings(about)}" + (f"\n\nAbout the data:\n{notes}" if notes else "")
    if not about.skipped:
        return text
    lines = "\n".join(point(escaped(line)) for line in about.skipped[:_SKIPPED])
    more = f"\n- and {len(about.skipped) - _SKIPPED} more" if len(about.skipped) > _SKIPPED else ""
    return f"{text}\n\nLeft out of the data, {len(about.skipped)} in all:\n\n{lines}{more}"


def _settings(about: About) -> str:
    changes = {key: value for key, value in about.settings.items() if value is not None}
    rest = (
        "manifest.json lists all settings, the checksum of the data, the versions of the libraries, and how closely "
        "the graphs agree with PyTorch."
    )
    if not changes:
        return wrapped(f"By `vae train`, with every setting at its default. {rest}")
    lines = "\n".join(f"    {line_of_toml(key, value)}" for key, value in changes.items())
    # `digits` is the preset of the defaults. Without --preset, other kinds of data would take their own.
    opening = (
        "By `vae train --preset digits` with these settings in a `--config` file and all others at their defaults. "
        f"{rest}"
    )
    return f"{wrapped(opening)}\n\n{lines}"


def _limits(pair: ServedPair, evaluation: Evaluation) -> str:
    points = [
        "The model knows only the data that it was trained on. It also encodes other data, but those latents mean "
        "nothing.",
        _decoded(pair),
        *(f"{alarm[0].upper()}{alarm[1:]}." for alarm in alarms(evaluation)),
        *(_holes(prior) for prior in evaluation.priors if prior.hole_fraction > _HOLES),
    ]
    idle = pair.latent_size - evaluation.active_units if evaluation.active_units is not None else 0
    if 0 < idle < pair.latent_size:
        points.append(f"Idle latent dimensions: {idle} of {pair.latent_size}. Moving them changes almost nothing.")
    points.append(
        "This card does not know the licence of the data, nor which uses of this model it allows. Please add it."
    )
    return "## Limits\n\n" + "\n".join(map(point, points))


def _decoded(pair: ServedPair) -> str:
    if not pair.scores:
        return (
            "It says nothing about how probable a row is: there is no likelihood, so `vae reconstruct` answers the "
            "squared error alone."
        )
    return (
        "It decodes to expectations, which are rounded if the data is integers. It does not draw "
        "noise of the likelihood."
    )


def _holes(prior: PriorEvidence) -> str:
    return f"{prior.hole_fraction:.0%} of the draws from prior `{prior.name}` lie where no row's latent does."


def _with_article(text: str) -> str:
    return f"{'An' if text[:1].lower() in 'aeio' else 'A'} {text}"
