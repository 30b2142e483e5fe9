"""Every setting of a training run, as one frozen value that is read once. `vae train --help` shows the docstrings."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from training.likelihoods import FAMILIES
from training.models import MODELS
from training.networks import NETWORKS
from training.settings.source import Source
from training.settings.versions import Version
from vaeserve.package.contents import Name

Fraction = Annotated[float, Field(ge=0, lt=1)]
HiddenSize = Annotated[int, Field(ge=1, le=65_536)]
MOST_EPOCHS = 1_000_000
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
ModelName = Annotated[str, AfterValidator(lambda name: _one_of(name, MODELS))]
NetworkName = Annotated[str, AfterValidator(lambda name: _one_of(name, NETWORKS))]
Family = Annotated[str, AfterValidator(lambda name: _one_of(name, FAMILIES))]
PlainValue = str | int | float | bool | None


class Config(Source):
    """Settings of a run; the keys of a TOML file are these fields. The defaults are tuned for `digits`."""

    name: Name | None = None
    """Name of the package, by which clients ask for it; the default is the name of the data."""
    version: Version = 1
    """Version of the package: a number, or next, one more than the highest of the name beside the run."""
    rule: Literal["none", "pictures"] = "none"
    """What chooses the settings that are not given, from the size and number of rows; none: the preset alone."""
    model: ModelName = "vae"
    """What is learned."""
    network: NetworkName = "mlp"
    """Kind of encoder and decoder."""
    likelihood: Family | None = None
    """Family of the data's distribution; the default is the one that fits the values."""
    latent_size: Annotated[int, Field(ge=1, le=1024)] = 8
    """Values in a latent."""
    hidden_sizes: Annotated[tuple[HiddenSize, ...], Field(min_length=1, max_length=16, strict=False)] = (256, 128)
    """Widths of the encoder's hidden layers, or of a convolution's levels; the decoder mirrors them."""
    blocks: Annotated[int, Field(ge=0, le=64)] = 1
    """Residual blocks in each level of a convolution; 0: one convolution and an activation."""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Latents drawn a row and step, by models with a posterior: the k of the importance-weighted bound."""
    pseudo_inputs: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Rows that vamp-vae learns: the prior is the mean of their posteriors."""

    levels: Annotated[int, Field(ge=3, le=4096)] = 8
    """Number of levels of each value of a latent, in models whose latents are codes; 5 or more is usual."""

    beta: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the KL; 1 is the ELBO."""
    free_bits: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Bits of KL that cost nothing, per latent dimension; of vae alone."""
    target_rate: Annotated[float, Field(gt=0)] | None = None
    """KL in nats per row to aim for; the weight of the KL starts at beta and is adjusted to reach it."""
    kl_warmup: Fraction = 0.1
    """Fraction of all steps over which the KL's weight grows linearly from 0."""
    feature_weight: Annotated[float, Field(ge=0)] = 0.05
    """Weight of a VAE-GAN's reconstructions, relative to misleading the discriminator; more: truer, less: sharper."""
    adversarial_start: Fraction = 0.3
    """Fraction of all steps that train a VAE-GAN as a VAE, before the discriminator counts."""
    input_noise: Fraction = 0.4
    """Noise in the encoder's input during training; for counts, the probability that each one is dropped."""
    mirror: bool = False
    """Mirror each picture left to right at every other look, by chance: for pictures that are as likely either way."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Start of the run's random numbers; the split into training and held-out rows does not depend on it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: cpu, cuda, or auto, a GPU if PyTorch finds one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the networks' products: float32, bfloat16, or auto, bfloat16 on a GPU that has it."""
    compile: bool = False
    """Speed the step up by torch.compile; compiling and checking takes a minute and needs a C++ compiler."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads per operation. More help only large networks, and may change the last bits of results."""

    epochs: Epochs = 350
    """Passes over the training rows."""
    steps: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Gradient steps of the whole run, in place of epochs; the run ends with the epoch that reaches them."""
    keep: Literal["auto", "best", "last"] = "auto"
    """Which epoch is exported: the best on validation rows, the last, or auto, the best where there are such rows."""
    patience: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Steps without a better figure on validation rows, after which a run ends early; 0: never."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Rows a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Highest learning rate, after a linear warm-up; a cosine then lowers it to 1 %."""
    learning_rate_warmup: Fraction = 0.02
    """Fraction of all steps over which the learning rate grows to its highest value."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.2
    """Weight decay of AdamW, times the learning rate; biases do not decay."""
    gradient_norm: Annotated[float, Field(ge=0)] = 0.0
    """Maximum length of a gradient; longer ones are shortened. 0: no limit."""
    average_decay: Fraction = 0.99
    """Decay per step of the running average of the weights; this average is evaluated and exported."""

    mixture_components: Annotated[int, Field(ge=0, le=1000)] | Literal["auto"] = 10
    """Components of the mixture that is fitted to latents as a prior; 0: no mixture, auto: as many as BIC favours."""
    evaluation_rows: Annotated[int, Field(ge=1)] = 1000
    """Held-out rows on which the importance-weighted likelihood is estimated."""
    evaluation_samples: Annotated[int, Field(ge=1)] = 500
    """Latents a row for that estimate."""

    checkpoint_epochs: Epochs = 25
    """Epochs between checkpoints."""
    tensorboard: bool = False
    """Write figures and pictures for TensorBoard into the run's directory."""

    @property
    def source(self) -> Source:
        """The settings about data."""
        return Source(**{name: getattr(self, name) for name in Source.model_fields})

    def changed(self) -> dict[str, PlainValue | tuple[int, ...] | tuple[str, ...]]:
        """Returns the settings that are not the defaults and have an effect, as values of a settings file."""
        default, settings = Config(), self.to_settings()
        effective = settings.keys() - self.unused(settings).keys() - ({"epochs"} if self.steps is not None else set())
        changed = {key: value for key, value in self if key in effective and value != getattr(default, key)}
        return {key: value if isinstance(value, tuple) else settings[key] for key, value in changed.items()}

    def to_settings(self) -> dict[str, PlainValue]:
        """Returns the fields as plain values; sizes become text such as "256-128"."""
        settings = self.model_dump(exclude={"data_dir"})
        settings["dataset"] = Path(self.dataset).name  # a path says where somebody's files lie
        settings["hidden_sizes"] = "-".join(map(str, self.hidden_sizes))
        for key in ("drop", "train_classes"):
            settings[key] = ",".join(settings[key]) or None
        settings["image_size"] = None if self.image_size is None else "x".join(map(str, self.image_size))
        return settings

    def unused(self, keys: Iterable[str]) -> dict[str, str]:
        """Returns those of these settings that the run's model or network ignores, each with the reason."""
        models = {name: entry.uses for name, entry in MODELS.items()}
        reasons: dict[str, str] = {}
        for kind, chosen, registry in (("model", self.model, models), ("network", self.network, NETWORKS)):
            for key in keys:
                users = [name for name, uses in registry.items() if key in uses]
                if users and chosen not in users:
                    reasons[key] = f"has no effect with the {kind} {chosen}, only with {', '.join(users)}"
        return reasons


def _one_of(name: str, choices: Iterable[str]) -> str:
    if name not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return name
