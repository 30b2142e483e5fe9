from training.config import Config
from training.data import Dataset
from training.evaluate.held_out import HeldOut
from training.report import model_card, table

METRICS = HeldOut(93.251, 76.58, 16.67, 2.1021, 7, 145.3, 403.8)


def test_the_table_is_aligned_and_names_units(dataset: Dataset) -> None:
    assert table(METRICS, dataset, Config()).splitlines() == [
        "360 held-out rows, means a row",
        "  negative ELBO          93.25  nats",
        "  reconstruction         76.58  nats",
        "  KL                     16.67  nats",
        "  bits per dimension     2.102  negative ELBO / (values in a row * ln 2)",
        "  active units               7  of 8",
        "  squared error          145.3  of the expectation; 64% below PCA",
        "  PCA                    403.8  squared error with 8 components",
    ]


def test_a_pair_that_is_worse_than_pca_is_told_so(dataset: Dataset) -> None:
    assert "100% above PCA" in table(METRICS._replace(squared_error=807.6), dataset, Config())


def test_the_model_card_describes_the_data_and_the_figures(dataset: Dataset) -> None:
    card = model_card(dataset, Config(), METRICS)
    assert card.startswith("# digits\n")
    assert "8 x 8 x 1 (uint8, 0 to 16) to 8 latent values" in card
    assert "binomial (trials 16)" in card
    assert "| bits per dimension | 2.102 |" in card
