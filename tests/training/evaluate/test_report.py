from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import Estimate
from training.evaluate.report import evaluation_markdown, evaluation_table, sections


def test_the_table_is_aligned_and_names_units(evaluation: Evaluation) -> None:
    likelihoods = evaluation.likelihoods.model_copy(
        update={
            "negative_elbo_nats": Estimate(value=93.251, standard_error=0.25),
            "kl_per_dimension_nats": (0.5, 2.25),
            "kl_nats": Estimate(value=2.75, standard_error=0.1),
        }
    )
    figures = evaluation_table(evaluation.model_copy(update={"likelihoods": likelihoods})).splitlines()
    assert figures[0] == "in brief"
    figures = figures[4:]
    assert figures[0] == "200 held-out rows, means a row"
    assert figures[1] == "  negative ELBO          93.25 +- 0.25  nats"
    assert figures[3] == "  KL                      2.75 +- 0.10  nats, the rate; 0.50 to 2.25 per latent dimension"
    assert "  active units                       2  of 2" in figures
    assert "completeness under N(0, I)" in figures
    assert max(map(len, figures)) <= 120


def test_the_kl_says_to_which_prior_it_is(learned_evaluation: Evaluation) -> None:
    (line,) = (line for line in evaluation_table(learned_evaluation).splitlines() if line.startswith("  KL "))
    assert line.endswith("nats, the rate; to prior learned")


def test_what_rows_were_compared_by_is_always_said(evaluation: Evaluation, codes_evaluation: Evaluation) -> None:
    for found in (evaluation, codes_evaluation):
        for space in found.features:
            assert f"  {space.name}: {space.description}" in evaluation_table(found).splitlines()
            assert f"- {space.name}: {space.description}" in evaluation_markdown(found).splitlines()


def test_what_a_model_does_not_have_is_a_dash(codes_evaluation: Evaluation) -> None:
    values = {line.label: line.value for section in sections(codes_evaluation) for line in section.figures}
    missing = {label for label, value in values.items() if value == "-"}
    assert missing == {
        *("negative ELBO", "KL", "bits per dimension", "-log p(x)", "-log p(x) in bits", "without latents"),
        *("active units", "cycle in deviations"),
    }
    assert "nan" not in evaluation_table(codes_evaluation).lower()


def test_pca_stands_beside_what_is_explained_where_it_can_lose(evaluation: Evaluation) -> None:
    worse = evaluation.model_copy(update={"explained": 0.5541, "pca_explained": 0.75})
    (line,) = (line for line in evaluation_table(worse).splitlines() if "  explained" in line)
    assert line.split(maxsplit=2)[1:] == [
        "55.4%",
        "of the variance, columns scaled alike; PCA with 2 components: 75.0%",
    ]
    perfect = evaluation.model_copy(update={"pca_squared_error": None, "pca_explained": None})
    assert "; PCA with 2 components loses none" in evaluation_table(perfect)


def test_an_estimate_of_some_rows_stands_beside_the_bound_of_those_rows(evaluation: Evaluation) -> None:
    nll = evaluation.likelihoods.nll
    assert nll is not None
    assert "its negative ELBO" not in evaluation_table(evaluation)  # of all rows it is the one above
    some = nll.model_copy(update={"rows": 100, "negative_elbo_nats": 17.25})
    found = evaluation.model_copy(update={"likelihoods": evaluation.likelihoods.model_copy(update={"nll": some})})
    figures = evaluation_table(found).splitlines()
    (place,) = (number for number, line in enumerate(figures) if "its negative ELBO" in line)
    assert " ".join(figures[place].split()) == "its negative ELBO 17.25 nats, of those 100 rows"
    assert figures[place - 1].strip().startswith("-log p(x)")
    assert found.metrics["nll_negative_elbo_nats"] == 17.25


def test_markdown_has_every_figure(evaluation: Evaluation) -> None:
    text = evaluation_markdown(evaluation)
    for section in sections(evaluation):
        for line in section.figures:
            assert f"| {line.label} | {line.value} | {line.remark} |" in text
