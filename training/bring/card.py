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
        spec.title or "An encoder and a decoder that were made elsewhere.",
        "",
        f"- **Data**: {data.kind} of shape {shape} ({data.dtype}, {data.minimum:g} to {data.maximum:g}).",
        f"- **Latent**: {latent}" + ("." if spec.posterior == "gaussian" else ", without a posterior."),
        f"- **Likelihood**: {spec.likelihood or 'unknown'}.",
        f"- **Graphs**: {spec_preprocessing(spec)}",
    ]
    if metrics:
        lines.append(
            f"- **Trial rows**: reconstructed with a squared error of {metrics['squared_error']:.4g} a row; "
            f"the mean of the rows has {metrics['mean_row_squared_error']:.4g}."
        )
    return "\n".join(lines) + "\n\nmanifest.json says how closely the graphs agree with the original pair.\n"


def spec_preprocessing(spec: Spec) -> str:
    """Returns a sentence about what the graphs do to data."""
    data = spec.data
    values = "data as it is"
    if spec.scaled_to is not None:
        low, high = spec.scaled_to
        values = f"[{data.minimum:g}, {data.maximum:g}] scaled to [{low:g}, {high:g}]"
    layout = f", as {spec.layout}" if data.kind == "image" else ""
    return f"the pair itself takes {values}{layout}; scaling, layout and casts are inside the graphs."
