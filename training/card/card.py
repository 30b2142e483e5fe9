"""The model card: pictures and README of a pair, made from its graphs."""

from training.card import image_pictures, table_pictures
from training.card.about import About
from training.card.dimensions import Dimensions, by_kl, by_response, deviations
from training.card.picture import Picture, to_png
from training.card.plane import latent_picture
from training.card.readme import write
from training.card.weights import weights_picture
from training.evaluate.evaluation import Evaluation
from training.evaluate.evidence import Rows
from training.evaluate.served import Served
from training.export.package import README


def card(served: Served, rows: Rows, evaluation: Evaluation, about: About) -> dict[str, bytes]:
    """Returns README.md and the pictures that it shows, by file name. The same inputs give the same bytes.

    Args:
        served: the pair; everything that is drawn comes out of its graphs.
        rows: data as the encoder takes it, one training row and one held-out row or more; the latter are shown.
        evaluation: what was measured.
        about: what the text needs besides.
    """
    dimensions = _dimensions(served, rows, evaluation)
    names = table_pictures.names_of(served)
    pictures: list[Picture]
    if served.data.kind == "image":
        pictures, columns = image_pictures.pictures(served, rows, dimensions, about.classes), []
    else:
        pictures = table_pictures.pictures(served, rows, dimensions, names)
        columns = table_pictures.columns_of(served, rows, names)
    if served.latent_size > 1:
        pictures += [weights_picture(dimensions), latent_picture(served, rows, about.classes)]
    text = write(served, evaluation, about, pictures, columns)
    return {README: text.encode(), **{picture.file: to_png(picture.pixels) for picture in pictures}}


def _dimensions(served: Served, rows: Rows, evaluation: Evaluation) -> Dimensions:
    nats = evaluation.likelihoods.kl_per_dimension_nats
    if nats is not None:
        return by_kl(nats)
    scale = deviations(rows.train) if served.data.kind == "table" else 1.0
    return by_response(served, served.encode(rows.test[:64]).mean, scale)
