"""Imports a pair of image diffusion: traces its networks, joins them to a package's tensors, proves, writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from training.bring.join import join_graph
from training.export.graphs import ExportedGraph, read_back
from training.export.package import README, Contents, ProvedPackage, write_package
from training.export.parity import Disagreement
from training.export.precision import in_precision
from training.imports.borders import decoder_border, encoder_border
from training.imports.card import RANGE, CardFacts, card_of, scaling_text, without_prior
from training.imports.figures import parity_figures, reconstruction_psnr
from training.imports.folder import find_folder
from training.imports.optimum import is_optimum, optimum_pair
from training.imports.pair import Pair, diffusers_pair
from training.imports.pictures import open_pictures
from training.imports.prior import WORTH, export_channels, fit_channels
from training.imports.sizes import sizes_of
from training.imports.trial import REAL_ROWS, PairProbes, try_pair
from training.run.progress import say
from training.settings.precisions import precision_of
from training.settings.versions import number_of
from vaeserve.errors import TrainingError
from vaeserve.package.contents import Likelihood, PairPrecision, Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import check_place
from vaeserve.package.signatures import pair_signatures
from vaeserve.package.sizes import Axes, PictureSize


class Wishes(NamedTuple):
    """What the importer chooses."""

    name: str
    version: int | str = 1
    latents: Literal["scaled", "raw"] = "scaled"
    minimum: int | None = None
    """Of a picture's side; None: chosen automatically."""
    maximum: int | None = None
    default: PictureSize | None = None
    rows: Path | None = None
    """Pictures to try the pair on; None: made ones."""
    tolerance: float = 1e-3  # float32 in networks of this depth; Optimum allows them a third of it
    """Maximum difference between the graphs' answers and the pair's own; the relative one is ten times that."""
    fit_prior: Path | None = None
    """Pictures to fit a prior to; None: the package has none."""
    precision: PairPrecision = "float32"
    """Of the encoder and the decoder."""


def import_folder(directory: Path, folder: Path, wishes: Wishes) -> ProvedPackage:
    """Packages the autoencoder that lies in a folder of diffusers, proves it and writes it.

    Args:
        directory: where the package goes; it must not exist.
        folder: that of the autoencoder, or of a pipeline that holds one.
        wishes: the importer's.

    Raises:
        TrainingError: the pair cannot be loaded, exported or served, or the precision costs too much.
        InvalidInput: the pictures cannot be read.
        PackageError: the directory exists, or cannot be written.
    """
    check_place(directory)
    pair = pair_of(folder, applied=wishes.latents == "scaled")
    for note in pair.notes:
        say(f"note     {note}")
    precision = precision_of(wishes.precision, must_upcast=pair.must_upcast)
    data = data_of(pair, wishes)
    pictures = open_pictures(wishes.rows, pair.channels)
    graphs = graphs_of(pair, data)
    trial = try_pair(pair, data, pictures, graphs)
    metrics = parity_figures(graphs, trial.stored)
    if pictures.are_real:
        metrics["reconstruction_psnr"] = reconstruction_psnr(trial.stored)
    probes = {**trial.stored, **trial.passing}
    tolerance = Tolerance(absolute=wishes.tolerance, relative=10 * wishes.tolerance)
    converted = in_precision(graphs, probes, data, precision, real_rows=REAL_ROWS, tolerance=tolerance)
    contents = converted.applied_to(contents_of(wishes, pair, data, trial, metrics | converted.figures))
    if wishes.fit_prior is not None:
        contents = with_prior(contents, pair, wishes.fit_prior)
    version = number_of(wishes.version, directory, wishes.name)
    try:
        return write_package(directory, contents._replace(version=version), overwrite=False)
    except Disagreement as exc:
        raise TrainingError(f"{exc}; --tolerance allows more") from exc


def contents_of(
    wishes: Wishes, pair: Pair, data: DataSpec, trial: PairProbes, metrics: Mapping[str, float]
) -> Contents:
    """Returns what a package is made of, but for its graphs."""
    prior = without_prior(pair.posterior) if wishes.fit_prior is None else WORTH
    card = card_of(CardFacts(wishes.name, pair, data, latent_axes(pair), trial.size, metrics, prior))
    return Contents(
        name=wishes.name,
        data=data,
        latent_shape=latent_axes(pair),
        posterior=pair.posterior,
        likelihood=Likelihood(family="unknown"),
        graphs={},
        probes=trial.stored,
        card={README: card.encode()},
        metrics=metrics,
        preprocessing=f"{RANGE} {scaling_text(pair.scaling)}",
        provenance=None,
        default_prior="",
        has_standard=False,
        scaling=pair.scaling,
        trials=trial.passing,
    )


def pair_of(folder: Path, *, applied: bool) -> Pair:
    """Returns the pair that lies in a folder of diffusers or of Optimum. Raises TrainingError."""
    if is_optimum(folder):
        return optimum_pair(folder, applied=applied)
    return diffusers_pair(find_folder(folder), applied=applied)


def with_prior(contents: Contents, pair: Pair, rows: Path) -> Contents:
    """Returns a package's contents with a prior that is fitted to pictures.

    Raises:
        TrainingError: it cannot be fitted.
        InvalidInput: the pictures cannot be read.
    """
    say("prior    a Gaussian for each channel")
    pictures = open_pictures(rows, pair.channels)
    prior = export_channels(pair, contents.data, contents.latent_shape, *fit_channels(pair, contents.data, pictures))
    return contents._replace(priors=(prior,), default_prior=prior.name)


def data_of(pair: Pair, wishes: Wishes) -> DataSpec:
    """Returns what a picture is, of any size. Raises TrainingError: the sizes that are wished for cannot be."""
    low, high = (pair.only_side or side for side in (wishes.minimum, wishes.maximum))
    sizes = sizes_of(pair.factor, pair.sample_size, low, high, wishes.default)
    shape = ("height", "width", pair.channels)
    return DataSpec(kind="image", shape=shape, sizes=sizes, dtype="uint8", minimum=0, maximum=255)


def graphs_of(pair: Pair, data: DataSpec) -> dict[str, ExportedGraph]:
    """Returns encoder and decoder as graphs of a package. Raises TrainingError: they cannot be exported."""
    signatures = pair_signatures((data.dtype, data.axes), latent_axes(pair), (), pair.posterior)
    parts = {
        "encoder": (pair.encoder, encoder_border(pair.latent_channels, pair.moments, pair.scaling)),
        "decoder": (pair.decoder, decoder_border(data, pair.scaling)),
    }
    graphs = {}
    for name, (component, border) in parts.items():
        say(f"graph    {name}")
        graphs[name] = read_back(name, join_graph(component, border, signatures[name]))
    return graphs


def latent_axes(pair: Pair) -> Axes:
    """Returns the axes of a row's latent."""
    over = f"/{pair.factor}" if pair.factor > 1 else ""
    return (pair.latent_channels, f"height{over}", f"width{over}")
