"""How much each latent dimension tells."""

from training.card.charts import weights_chart
from training.card.dimensions import Dimensions
from training.card.picture import Picture

_BARS = 128  # dimensions, at most


def weights_picture(dimensions: Dimensions) -> Picture:
    """Returns a bar a latent dimension, the tallest first."""
    shown = dimensions.order[:_BARS]
    is_kl = dimensions.unit == "nats"
    chart = weights_chart(
        dimensions.weights[list(shown)],
        [f"z{dimension}" for dimension in shown],
        dimensions.telling,
        "KL, nats" if is_kl else "share, %",
    )
    count = f"{dimensions.telling} of {len(dimensions.order)}"
    if is_kl:
        title = "KL by dimension"
        caption = f"What each latent dimension tells of a held-out row; {count} tell more than 0.01 nats."
    else:
        title = "Response by dimension"
        caption = f"Share of the output's variance that each latent dimension gives alone; {count} give over 0.1 %."
    return Picture(title, "dimensions.png", chart, caption)
