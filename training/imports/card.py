"""The README of an imported package."""

from collections.abc import Mapping
from typing import NamedTuple

from training.imports.pair import Pair, Posterior
from vaeserve.package.contents import LatentScaling
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import Axes, PictureSize

RANGE = "The networks take shades 0 to 255 as [-1, 1]; scaling, layout and casts are inside the graphs."


class CardFacts(NamedTuple):
    """What a README is about."""

    name: str
    pair: Pair
    data: DataSpec
    """A row of data, of free size."""
    latent: Axes
    """Of a row."""
    tried: PictureSize
    """The largest size that the graphs were proved at."""
    metrics: Mapping[str, float]
    prior: str
    """What there is to sample from, in a sentence."""


def card_of(facts: CardFacts) -> str:
    """Returns the README, in Markdown."""
    pair, data, metrics = facts.pair, facts.data, facts.metrics
    if data.sizes is None:
        raise AssertionError("an imported pair takes pictures of any size. This is a bug.")
    posterior = "" if pair.posterior == "gaussian" else ", without a posterior"
    lines = [
        f"# {facts.name}",
        "",
        f"{pair.origin}, imported by `vae import`.",
        "",
        f"- **Data**: pictures of {pair.channels} channels, uint8; height and width are {data.sizes.rule}, "
        f"{data.sizes.default} (width x height) if none is named.",
        f"- **Latent**: {' x '.join(map(str, facts.latent))}{posterior}.",
        f"- **Scaling**: {scaling_text(pair.scaling)}",
        f"- **Prior**: {facts.prior}",
        "- **Likelihood**: unknown, so there is no ELBO.",
        f"- **Graphs**: {RANGE}",
        f"- **Proof**: against the original at several sizes, up to {facts.tried} pixels: the lowest cosine between "
        f"two latents is {metrics['parity_cosine']:.7f}, the lowest PSNR of a picture {metrics['parity_psnr']:.0f} dB.",
    ]
    if "fp16_cosine" in metrics:
        lines.append(
            "- **Precision**: fp16, made of the graphs that were proved. Reconstructions lose "
            f"{max(0.0, metrics['fp16_psnr_loss_db']):.2f} dB of PSNR; the lowest cosine between a latent and that in "
            f"float32 is {metrics['fp16_cosine']:.6f}."
        )
    if "reconstruction_psnr" in metrics:
        lines.append(
            f"- **Reconstruction**: the first picture of the trial, brought to {data.sizes.smallest} pixels, comes "
            f"back with a PSNR of {metrics['reconstruction_psnr']:.1f} dB."
        )
    lines += [f"- **Note**: {note}." for note in pair.notes]
    return "\n".join(lines) + "\n\nmanifest.json holds every figure.\n"


def scaling_text(scaling: LatentScaling) -> str:
    """Returns what is done to latents, in a sentence or two."""
    formula = f"`{scaling.formula}` ({scaling.numbers})"
    if scaling.applied:
        return f"Latents are scaled as the pair's pipeline scales them: {formula}. The decoder takes scaled latents."
    return f"Latents are raw. The pair's pipeline computes {formula}."


def without_prior(posterior: Posterior) -> str:
    """Returns why a pair cannot be sampled from, in a few sentences."""
    if posterior == "none":
        return "none. The pair has no posterior, and its latents are not distributed as N(0, I)."
    return "none. Such pairs are trained with almost no weight on the KL term, so draws from N(0, I) decode to noise."
