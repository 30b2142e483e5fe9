"""The README of a package whose pair was made elsewhere."""

from collections.abc import Mapping

from training.bring.spec import Spec


def card_of(spec: Spec, metrics: Mapping[str, float]) -> str:
    """Returns the README, in Markdown."""
    data = spec.data
    shape, latent = (" x ".join(map(str, sizes)) for sizes in (data.shape, spec.latent_shape))
    lines = [
        f"# {spec.name}",
        "",
        spec.title or "A pair of encoder and decoder that was made elsewhere.",
        "",
        f"- **Data**: {data.kind} of shape {shape} ({data.dtype}, {data.minimum:g} to {data.maximum:g}).",
        f"- **Latent**: {latent}" + ("." if spec.posterior == "gaussian" else ", without a posterior."),
        f"- **Likelihood**: {spec.likelihood or 'not told'}.",
        f"- **Graphs**: {spec_preprocessing(spec)}",
    ]
    if metrics:
        lines.append(
            f"- **Trial rows**: come back with a squared error of {metrics['squared_error']:.4g} a row; "
            f"their mean has {metrics['mean_row_squared_error']:.4g}."
        )
    return "\n".join(lines) + "\n\nmanifest.json tells how closely the graphs follow the pair as it came.\n"


def spec_preprocessing(spec: Spec) -> str:
    """Returns what the graphs do to the data, in a sentence."""
    data = spec.data
    given = "data as it is"
    if spec.scaled_to is not None:
        low, high = spec.scaled_to
        given = f"[{data.minimum:g}, {data.maximum:g}] scaled to [{low:g}, {high:g}]"
    layout = f", as {spec.layout}" if data.kind == "image" else ""
    return f"the pair itself takes {given}{layout}; scaling, layout and casts are inside the graphs."
