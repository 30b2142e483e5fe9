"""The picture of how informative each latent dimension is."""

from training.card.charts import weights_chart
from training.card.dimensions import Dimensions
from training.card.picture import Picture

_BARS = 128  # maximum number of dimensions in the picture


def weights_picture(dimensions: Dimensions) -> Picture:
    """Returns one bar for each latent dimension, tallest first."""
    order = dimensions.order[:_BARS]
    is_kl = dimensions.unit == "nats"
    chart = weights_chart(
        dimensions.weights[list(order)],
        [f"z{dimension}" for dimension in order],
        dimensions.informative,
        "KL, nats" if is_kl else "share, %",
    )
    count = f"{dimensions.informative} of {len(dimensions.order)}"
    if is_kl:
        title = "KL by dimension"
        caption = (
            f"KL of each latent dimension, a mean over held-out rows. {count} dimensions have more than 0.01 nats."
        )
    else:
        title = "Response by dimension"
        caption = (
            "Share of the output's variance that each latent dimension causes alone. "
            f"{count} dimensions cause over 0.1 %."
        )
    return Picture(title, "dimensions.png", chart, caption)
