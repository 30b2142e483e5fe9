import pytest

from training.evaluate.class_report import anomaly_section, class_section
from training.evaluate.comparison import comparison
from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import AnomalyFigures, AnomalyScore, ClassFigures, Estimate
from training.evaluate.report import evaluation_markdown, evaluation_table
from training.evaluate.summary import evaluation_summary

USUAL = ClassFigures(
    name="usual",
    rows=200,
    trained_on=True,
    squared_error=12.3456,
    negative_elbo_nats=Estimate(value=5.5, standard_error=0.25),
    reconstruction_nats=Estimate(value=4.5, standard_error=0.25),
)
ODD = USUAL.model_copy(update={"name": "a|b", "rows": 1, "trained_on": False, "negative_elbo_nats": None})
SCORE = AnomalyScore(name="negative_elbo", auroc=Estimate(value=0.9853, standard_error=0.004), average_precision=0.71)
ANOMALIES = AnomalyFigures(rows=93, share=0.2, scores=(SCORE, SCORE.model_copy(update={"name": "squared_error"})))


@pytest.fixture
def labelled(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"classes": (USUAL, ODD), "anomalies": ANOMALIES})


def test_every_class_and_every_score_has_a_line(labelled: Evaluation) -> None:
    lines = [" ".join(line.split()) for line in evaluation_table(labelled).splitlines()]
    place = lines.index("negative ELBO at the mean latent by class")
    assert lines[place + 1 : place + 6] == [
        "usual 5.50 +- 0.25 nats; 200 rows; squared error 12.35",
        "a|b - nats; 1 row, not trained on; squared error 12.35",
        "93 anomalies, 20.0% of the rows scored",
        "AUROC, negative ELBO 0.985 +- 0.004 average precision 0.710",
        "AUROC, squared error 0.985 +- 0.004 average precision 0.710",
    ]
    assert "| a\\|b | - | nats; 1 row, not trained on; squared error 12.35 |" in evaluation_markdown(labelled)
    assert evaluation_summary(labelled)[3] == "tells anomalies from held-out rows by the ELBO with an AUROC of 0.985"


def test_the_measure_is_what_the_model_has() -> None:
    codes = [each.model_copy(update={"negative_elbo_nats": None}) for each in (USUAL, ODD)]
    assert class_section(codes)[0].title == "-log p(x | latent) by class"
    bare = [each.model_copy(update={"reconstruction_nats": None}) for each in codes]
    (section,) = class_section(bare)
    assert (section.title, section.figures[0][:2]) == ("squared error by class", ("usual", "12.35"))


def test_a_single_class_is_not_worth_a_line_and_of_many_the_largest_are_shown() -> None:
    assert class_section([USUAL]) == ()
    many = [USUAL.model_copy(update={"name": str(number), "rows": number + 1}) for number in range(30)]
    (section,) = class_section(many)
    assert section.title.endswith("by class, the largest 20 of 30 classes")
    assert [figure.label for figure in section.figures[:2]] == ["29", "28"]
    assert anomaly_section(None) == ()


def test_anomalies_are_compared_where_a_model_has_them(evaluation: Evaluation, labelled: Evaluation) -> None:
    assert "AUROC" not in comparison([("a", evaluation)])
    rows = [" ".join(line.split()) for line in comparison([("a", evaluation), ("b", labelled)]).splitlines()]
    assert "anomalies: AUROC, negative ELBO - 0.985" in rows
    assert "average precision - 0.710" in rows
    assert labelled.metrics["anomaly_auroc_negative_elbo"] == 0.9853
    assert labelled.metrics["anomaly_auroc_standard_error_negative_elbo"] == 0.004
    assert labelled.metrics["anomaly_average_precision_squared_error"] == 0.71
    assert Evaluation.parse(labelled.to_json()) == labelled
