import pytest

from training.settings.config import Config
from training.settings.rule import PictureSet, choose, latents_of, validation_rows, widths_of

CIFAR = PictureSet((32, 32, 3), has_levels=True, is_binary=False, is_symmetric=False, rows=4500, cores=2)
RULED = Config(rule="pictures")


@pytest.mark.parametrize(
    ("shape", "rows", "latents", "widths"),
    [
        ((8, 8, 1), 1457, 16, (128,)),
        ((28, 28, 1), 59_000, 128, (32, 64)),
        ((32, 32, 3), 4500, 512, (32, 64, 128)),
        ((48, 80, 3), 243, 32, (16, 32, 64)),
        ((64, 64, 3), 243, 32, (16, 32, 64, 128)),
        ((128, 128, 3), 20_000, 512, (16, 16, 32, 64, 128)),
        ((3, 5, 1), 32, 8, (128,)),
    ],
)
def test_size_and_number_choose_the_latent_and_the_widths(
    shape: tuple[int, ...], rows: int, latents: int, widths: tuple[int, ...]
) -> None:
    assert latents_of(CIFAR._replace(shape=shape, rows=rows)) == latents
    assert widths_of(shape) == widths


def test_a_tenth_validates_but_of_a_small_set_nothing() -> None:
    assert [validation_rows(rows) for rows in (99, 159, 160, 4999, 54_000)] == [0, 0, 16, 499, 1000]


def test_values_choose_the_likelihood_and_how_the_network_begins() -> None:
    def chosen(**changes: object) -> tuple[str | None, str, float]:
        config = choose(CIFAR._replace(**changes), RULED, ()).config  # type: ignore[arg-type]
        return config.likelihood, config.network, config.kl_warmup

    assert chosen() == ("logistic-mixture", "pca-conv", 0.0)
    assert chosen(shape=(28, 28, 1)) == ("logistic", "pca-conv", 0.0)
    assert chosen(has_levels=False) == (None, "pca-conv", 0.0)
    assert chosen(is_binary=True) == (None, "conv", 0.1)


def test_pictures_that_look_alike_when_mirrored_are_mirrored_and_count_twice() -> None:
    small = CIFAR._replace(rows=300)
    plain, mirrored = (choose(small._replace(is_symmetric=is_symmetric), RULED, ()) for is_symmetric in (False, True))
    assert (plain.config.mirror, mirrored.config.mirror) == (False, True)
    assert mirrored.config.steps == 2 * (plain.config.steps or 0)
    assert "--no-mirror" in mirrored.lines[-1]


@pytest.mark.parametrize("model", ["vae-gan", "gan"])
def test_adversarial_models_have_a_scale_that_follows_the_residual(model: str) -> None:
    config = choose(CIFAR, Config(model=model), ()).config
    assert (config.likelihood, config.network) == ("gaussian", "conv")


def test_what_the_user_gave_stays_and_the_rest_follows() -> None:
    config = choose(CIFAR, Config(latent_size=16, batch_size=128), {"latent_size", "batch_size"}).config
    assert (config.latent_size, config.batch_size, config.mixture_components) == (16, 128, 10)
    usual = choose(CIFAR, RULED, ()).config
    assert (config.steps or 0) * 2 == pytest.approx(usual.steps, abs=2)
    assert choose(CIFAR, Config(network="conv"), {"network"}).config.kl_warmup == 0.1
    assert choose(CIFAR, Config(epochs=3), {"epochs"}).config.steps is None
    assert choose(CIFAR, Config(model="pca", network="linear", likelihood="gaussian"), ()).config.network == "linear"


def test_larger_pictures_take_fewer_steps_and_a_small_set_fewer_still() -> None:
    steps = [choose(CIFAR._replace(shape=(side, side, 3)), RULED, ()).config.steps or 0 for side in (32, 64, 128)]
    assert steps == sorted(steps, reverse=True)
    assert (choose(CIFAR._replace(rows=300), RULED, ()).config.steps or 0) < steps[0]


@pytest.mark.parametrize(("model", "cost"), [("vae-gan", 5.3), ("gan", 2.7)])
def test_the_discriminator_counts_among_the_operations(model: str, cost: float) -> None:
    usual, of_model, of_ae = (
        choose(CIFAR._replace(rows=50_000), Config(model=name), ()).config.steps or 0 for name in ("vae", model, "ae")
    )
    assert of_model == pytest.approx(usual / cost, abs=1)
    assert of_ae == usual


def test_lines_say_what_was_chosen() -> None:
    lines = choose(CIFAR, RULED, ()).lines
    assert lines[0] == "chosen for 4,500 pictures of 32 x 32 x 3 values (docs/training.md, Pictures; flags override):"
    assert lines[1] == "  512 latent values, pca-conv 32-64-128, likelihood logistic-mixture"
    assert "learning rate 0.001, 2 threads" in lines[2]
    of_pca = RULED.model_copy(update={"model": "pca", "network": "linear", "likelihood": "gaussian"})
    assert choose(CIFAR, of_pca, ()).lines[1:] == ("  512 latent values, linear, likelihood gaussian",)
