"""The model card: pictures and README of a pair, made from its graphs."""

from training.card import image_pictures, table_pictures
from training.card.about import About
from training.card.dimensions import Dimensions, by_kl, by_response, deviations
from training.card.learning_curve import learning_curve_picture
from training.card.picture import Picture, to_png
from training.card.plane import latent_picture
from training.card.readme import readme_text
from training.card.weights import weights_picture
from training.evaluate.evaluation import Evaluation
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from training.export.package import README


def card(pair: ServedPair, rows: EvaluationRows, evaluation: Evaluation, about: About) -> dict[str, bytes]:
    """Returns README.md and its pictures, by file name. Equal inputs give equal bytes.

    Args:
        pair: the pair; everything drawn comes from its graphs.
        rows: data as the encoder takes it, at least one training row and one held-out row; held-out rows are shown.
        evaluation: the figures of the pair.
        about: facts for the text that cannot be measured.
    """
    dimensions = _dimensions(pair, rows, evaluation)
    names = table_pictures.names_of(pair)
    pictures: list[Picture]
    if pair.data.kind == "image":
        pictures, columns = image_pictures.image_pictures(pair, rows, dimensions, about.classes), []
    else:
        pictures = table_pictures.table_pictures(pair, rows, dimensions, names)
        columns = table_pictures.columns_of(pair, rows, names)
    if pair.latent_size > 1:
        pictures += [weights_picture(dimensions), latent_picture(pair, rows, about.classes)]
    if about.curve is not None:
        pictures.append(learning_curve_picture(about.curve))
    text = readme_text(pair, evaluation, about, pictures, columns)
    return {README: text.encode(), **{picture.file: to_png(picture.pixels) for picture in pictures}}


def _dimensions(pair: ServedPair, rows: EvaluationRows, evaluation: Evaluation) -> Dimensions:
    nats = evaluation.likelihoods.kl_per_dimension_nats
    if nats is not None:
        return by_kl(nats)
    scale = deviations(rows.train) if pair.data.kind == "table" else 1.0
    return by_response(pair, pair.encode(rows.test[:64]).mean, scale)
