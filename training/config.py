"""What a training run can be told: one frozen value, read once."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from training.likelihoods import FAMILIES
from training.models import MODELS
from training.names import flag_of
from training.networks import NETWORKS
from training.source import Source, kind_of
from vae.errors import TrainingError
from vae.manifest import Name
from vae.records import first_problem

PRESETS = Path(__file__).parent / "presets"  # TOML files of settings, which flags and --config override
PLACES = ("dataset", "data_dir")  # where data lies, which may move; that it is the same is the checksum's to say
Fraction = Annotated[float, Field(ge=0, lt=1)]
HiddenSize = Annotated[int, Field(ge=1, le=65_536)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Pixels = Annotated[int, Field(ge=1, le=65_536)]
ModelName = Annotated[str, AfterValidator(lambda name: _one_of(name, MODELS))]
NetworkName = Annotated[str, AfterValidator(lambda name: _one_of(name, NETWORKS))]
Family = Annotated[str, AfterValidator(lambda name: _one_of(name, FAMILIES))]
Setting = str | int | float | bool | None
_LENGTHS = {"missing": "has too few values", "too_short": "has too few values", "too_long": "has too many values"}


class Config(BaseModel):
    """Settings of a run; the keys of a TOML file are these fields. The defaults are tuned for `digits`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    dataset: Annotated[str, Field(min_length=1)] = "digits"
    """digits, mnist, fashion-mnist, or the path of a folder of images or of a .npy, .npz, .csv or .parquet file."""
    data_dir: Annotated[str, Field(min_length=1)] | None = None
    """Folder of the original files of mnist or fashion-mnist; without it they are downloaded."""
    validation_rows: Annotated[int, Field(ge=0)] = 0
    """Taken from the training rows, by a split that no seed changes, to choose settings on."""
    binarised: bool = False
    """Draw every pixel as on or off, with its grey level as probability: at every step anew, held-out rows once."""
    image_size: Annotated[tuple[Pixels, Pixels], Field(strict=False)] | None = None
    """Height and width that images of a folder are brought to."""
    image_fit: Literal["crop", "pad", "stretch", "exact"] = "crop"
    """How: cut off what is too long, pad what is too short, stretch, or refuse other sizes."""
    channels: Literal[1, 3] | None = None
    """Of a folder's images: grey or colour; as they are if not given."""
    skip_bad: bool = False
    """Leave out, count and list what cannot be used, instead of refusing the data."""

    name: Name | None = None
    """The package's, by which a server tells it from others; the data's if not given."""
    model: ModelName = "vae"
    network: NetworkName = "mlp"
    likelihood: Family | None = None
    """Family of the data's distribution; the one that fits what the values are if not given."""
    latent_size: Annotated[int, Field(ge=1, le=1024)] = 8
    hidden_sizes: Annotated[tuple[HiddenSize, ...], Field(min_length=1, max_length=16, strict=False)] = (256, 128)
    """Widths of the encoder's hidden layers, or of a convolution's levels; the decoder mirrors them."""
    blocks: Annotated[int, Field(ge=0, le=64)] = 1
    """Residual blocks of a convolution's level; with 0 it is a convolution and an activation."""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Latents drawn a row and step, by vae and iwae: the k of the importance-weighted bound."""

    beta: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the KL; 1 is the ELBO."""
    free_bits: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Bits of KL a latent dimension that cost nothing; of vae alone."""
    target_rate: Annotated[float, Field(gt=0)] | None = None
    """Nats of KL a row that the KL's weight is steered towards; it then starts at beta."""
    kl_warmup: Fraction = 0.1
    """Fraction of all steps over which the KL's weight grows linearly from 0."""
    input_noise: Fraction = 0.4
    """How noisy the encoder's input is in training; for counts, the probability with which each one is missed."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The run's random numbers start here; the split into training and held-out rows does not depend on it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if PyTorch finds one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the networks' products; auto: bfloat16 on a GPU that has it. Likelihood and KL are float32 always."""
    compile: bool = False
    """Let torch.compile make the step faster; it takes a minute at the start, proof included, and a C++ compiler."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of one operation. More of them only pay for larger networks, and may change the last bits."""

    epochs: Epochs = 350
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Rows a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """At its highest; a short linear warm-up leads there, a cosine from there to 1 % of it."""
    learning_rate_warmup: Fraction = 0.02
    """Fraction of all steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.2
    """AdamW's, on weights and not on biases; it is multiplied by the learning rate."""
    gradient_norm: Annotated[float, Field(gt=0)] | None = None
    """Longer gradients are shortened to it."""
    average_decay: Fraction = 0.99
    """Decay a step of the running average of the weights, which is what is evaluated and exported."""

    mixture_components: Annotated[int, Field(ge=0, le=1000)] | Literal["auto"] = 10
    """Of the Gaussian mixture that is fitted to the latents afterwards and becomes the prior `mixture`.

    0: none; "auto": as many as pay.
    """
    evaluation_rows: Annotated[int, Field(ge=1)] = 1000
    """Held-out rows on which the importance-weighted likelihood is estimated."""
    evaluation_samples: Annotated[int, Field(ge=1)] = 500
    """Latents a row for it."""

    checkpoint_epochs: Epochs = 25
    """Epochs between checkpoints."""
    tensorboard: bool = False
    """Write figures and pictures for TensorBoard into the run's directory."""

    @property
    def source(self) -> Source:
        """What the data is read from."""
        return Source(**{name: getattr(self, name) for name in Source._fields})

    def changed(self) -> dict[str, Setting | tuple[int, ...]]:
        """Returns the settings that are not the defaults and have an effect, as a file of settings would tell them."""
        default, told = Config(), self.to_settings()
        kept = told.keys() - unused(self, told).keys()
        changed = {key: value for key, value in self if key in kept and value != getattr(default, key)}
        return {key: value if isinstance(value, tuple) else told[key] for key, value in changed.items()}

    def to_settings(self) -> dict[str, Setting]:
        """Returns the fields as plain values; sizes become text such as "256-128"."""
        settings = self.model_dump(exclude={"data_dir"})
        settings["dataset"] = Path(self.dataset).name  # paths are nobody's business
        settings["hidden_sizes"] = "-".join(map(str, self.hidden_sizes))
        settings["image_size"] = None if self.image_size is None else "x".join(map(str, self.image_size))
        return settings


def parse_config(settings: dict[str, object], source: str = "") -> Config:
    """Returns the configuration with these settings, and defaults for the rest.

    Args:
        settings: values by field name.
        source: the file that they are from; empty: an error calls them by their flags.

    Raises:
        TrainingError: a key is unknown, or a value has the wrong type or is out of range; the message names the key.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as exc:
        where, problem = problem_of(exc, settings, Config.model_fields, "`vae train --help` lists them")
        place = f"{source}: {where}" if source else flag_of(where.partition(".")[0])
        raise TrainingError(f"{place}: {problem}") from exc


def problem_of(
    exc: ValidationError, settings: Mapping[str, object], known: Iterable[str], hint: str
) -> tuple[str, str]:
    """Returns where settings are wrong, as the key (empty: as a whole), and how, in a line.

    Args:
        exc: what was found.
        settings: values by key.
        known: all keys that there are.
        hint: what to say of a key that resembles none of them.
    """
    where, message, kind, given = first_problem(exc)
    key = where.partition(".")[0]
    if kind == "extra_forbidden":
        near = get_close_matches(where, known, n=1)
        return where, f"no such key; {f'did you mean {near[0]}?' if near else hint}"
    if kind == "missing" and key not in settings:
        return where, "is missing"
    if kind in _LENGTHS:
        return where, f"{_LENGTHS[kind]}: {brief(settings[key])}"
    if not where:
        return where, message
    return where, f"{message[0].lower()}{message[1:]}, not {brief(given)}"


def preset_names() -> tuple[str, ...]:
    """Returns the names of the presets."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def preset_for(dataset: str) -> str:
    """Returns the name of the preset that a run on this data takes when told nothing; looks into a file of arrays.

    Raises:
        TrainingError: there is no such data.
    """
    match kind_of(dataset):
        case "digits" | "mnist" as known:
            return known
        case "pictures":
            return "images"
        case "columns":
            return "table"
        case "arrays":
            from training.data.arrays import holds_images

            return "images" if holds_images(Path(dataset)) else "table"


def complete(given: dict[str, object], preset: str | None) -> dict[str, object]:
    """Returns the settings of a run: what a preset says, under what its model asks for, under what was given.

    Args:
        given: settings by name, from a file and flags.
        preset: its name; None takes the one for the data.

    Raises:
        TrainingError: a setting that was given contradicts the model, or there is no such data.
    """
    base = read_settings(PRESETS / f"{preset or preset_for(str(given.get('dataset', 'digits')))}.toml")
    model = given.get("model", base.get("model", "vae"))
    needed = MODELS[model].fixed if isinstance(model, str) and model in MODELS else {}
    for key, value in needed.items():
        if given.get(key, value) != value:
            raise TrainingError(f"{flag_of(key)}: the model {model} is defined with {value}, not {given[key]}")
    return {**base, **needed, **given}


def unused(config: Config, keys: Iterable[str]) -> dict[str, str]:
    """Returns which of these settings have no effect on a run, and why: its model or its network does not use them."""
    models = {name: entry.uses for name, entry in MODELS.items()}
    reasons: dict[str, str] = {}
    for kind, chosen, registry in (("model", config.model, models), ("network", config.network, NETWORKS)):
        for key in keys:
            users = [name for name, uses in registry.items() if key in uses]
            if users and chosen not in users:
                reasons[key] = f"has no effect with the {kind} {chosen}, only with {', '.join(users)}"
    return reasons


def refuse_unused(config: Config, given: Iterable[str]) -> None:
    """Makes sure that every setting that was asked for has an effect.

    Args:
        config: what a run is to be.
        given: names of the settings that a file or a flag named; presets and defaults name none.

    Raises:
        TrainingError: one has none; the message names its flag, and what uses it.
    """
    for key, reason in unused(config, given).items():
        raise TrainingError(f"{flag_of(key)}: {reason}")


def read_settings(path: Path) -> dict[str, object]:
    """Returns the keys and values of a TOML file, which are not yet checked.

    Raises:
        TrainingError: the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise TrainingError(f"{path}: is nested too deeply") from exc
    except ValueError as exc:  # no TOML, no UTF-8, or a number of more digits than Python reads
        raise TrainingError(f"{path}: is no TOML: {exc}") from exc


def refuse_changes(saved: Config, given: dict[str, object]) -> Config:
    """Returns the settings that a resumed run goes on with: those it was started with, wherever its data lies now.

    Args:
        saved: what it was started with.
        given: what is asked of it.

    Raises:
        TrainingError: a value differs; the message names its flag or key.
    """
    asked = parse_config({**saved.model_dump(), **given})
    for key, value in asked:
        before = getattr(saved, key)
        if value != before and key not in PLACES:
            raise TrainingError(f"{flag_of(key)}: the run was started with {before}, it cannot be resumed with {value}")
    return asked


def _one_of(name: str, known: Iterable[str]) -> str:
    if name not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return name


def brief(value: object) -> str:
    """Shows a value that may be as large as a file."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
