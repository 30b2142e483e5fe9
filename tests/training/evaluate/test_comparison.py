from training.evaluate.comparison import comparison, comparison_markdown, comparison_notes, comparison_rows
from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import Estimate


def row_of(table: str, label: str) -> list[str]:
    (line,) = (line for line in table.splitlines() if line.startswith(f"{label}  "))
    return line.removeprefix(label).split()


def worse(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"squared_error": evaluation.squared_error + 1})


def test_the_best_value_is_marked_and_what_is_missing_is_a_dash(
    evaluation: Evaluation, codes_evaluation: Evaluation
) -> None:
    table = comparison([("worse", worse(evaluation)), ("vae", evaluation), ("codes", codes_evaluation)])
    assert table.splitlines()[0].split() == ["worse", "vae", "codes"]
    assert row_of(table, "-log p(x)")[2] == "-"
    first, second, _ = row_of(table, "squared error")
    assert not first.endswith("*")
    assert second.endswith("*")


def test_nothing_is_best_among_equals_or_alone(evaluation: Evaluation) -> None:
    for models in ([evaluation], [evaluation, evaluation]):
        assert all(row.best == frozenset() for row in comparison_rows(models))


def test_the_tear_index_nearest_to_one_is_best(evaluation: Evaluation) -> None:
    indices = (0.5, 1.2, 4.0)
    models = [
        evaluation.model_copy(update={"smoothness": evaluation.smoothness.model_copy(update={"tear_index": index})})
        for index in indices
    ]
    (row,) = (row for row in comparison_rows(models) if row.label == "tear index")
    assert row.best == {1}


def test_a_prior_that_one_model_has_alone_is_a_dash_for_the_others(evaluation: Evaluation) -> None:
    mixture = evaluation.priors[0].model_copy(update={"name": "gmm"})
    repaired = evaluation.model_copy(update={"priors": (*evaluation.priors, mixture)})
    table = comparison([("vae", evaluation), ("repaired", repaired)])
    assert row_of(table, "gmm: holes")[0] == "-"
    assert "-" not in row_of(table, "N(0, I): holes")


def test_six_models_fit_into_120_columns(evaluation: Evaluation) -> None:
    table = comparison([(f"model-of-a-long-name-{number}", evaluation) for number in range(6)])
    rows = table.splitlines()
    assert max(map(len, rows)) <= 120
    assert rows[0].split()[0].endswith("..")


def test_markdown_has_the_same_cells_with_the_best_in_bold(evaluation: Evaluation) -> None:
    models = [("vae", evaluation), ("worse", worse(evaluation))]
    text = comparison_markdown(models)
    assert text.startswith("| | vae | worse |\n| --- | ---: | ---: |\n")
    assert f"| squared error | **{evaluation.squared_error:.1f}** | {evaluation.squared_error + 1:.1f} |" in text
    for row in comparison_rows([evaluation for _, evaluation in models]):
        assert f"| {row.label} | " in text


def test_an_estimate_of_some_rows_stands_above_the_bound_of_those_rows(evaluation: Evaluation) -> None:
    nll = evaluation.likelihoods.nll
    assert nll is not None
    some = evaluation.likelihoods.model_copy(
        update={"nll": nll.model_copy(update={"rows": 100, "negative_elbo_nats": 17.25})}
    )
    table = comparison([("some", evaluation.model_copy(update={"likelihoods": some})), ("all", evaluation)])
    assert row_of(table, "  negative ELBO of its rows")[0] == "17.25"
    assert "of its rows" not in comparison([("all", evaluation)])


def test_what_cannot_be_compared_is_said(evaluation: Evaluation) -> None:
    assert not any("compar" in note for note in comparison_notes([("a", evaluation), ("b", evaluation)], "*"))
    other = evaluation.model_copy(update={"rows_sha256": "0" * 64})
    assert any(note.startswith("not comparable") for note in comparison_notes([("a", evaluation), ("b", other)], "*"))
    nll = evaluation.likelihoods.nll
    assert nll is not None
    more = evaluation.likelihoods.model_copy(update={"nll": nll.model_copy(update={"samples": 5000})})
    found = comparison_notes([("a", evaluation), ("b", evaluation.model_copy(update={"likelihoods": more}))], "*")
    assert any("200 x 50, 200 x 5000" in note for note in found)


def test_likelihoods_of_two_families_have_no_best(evaluation: Evaluation) -> None:
    better = evaluation.likelihoods.model_copy(update={"negative_elbo_nats": Estimate(value=0.0, standard_error=0.0)})
    gaussian, binomial, unknown = (
        evaluation.model_copy(update={"family": family, "likelihoods": better if family == "binomial" else likelihoods})
        for family, likelihoods in (("gaussian", evaluation.likelihoods), ("binomial", better), (None, better))
    )
    said = "ELBO, -log p(x) and bits are not comparable: the likelihoods are binomial, gaussian"
    for models, best, is_said in (([gaussian, binomial], set(), True), ([gaussian, unknown], {1}, False)):
        (row,) = (row for row in comparison_rows(models) if row.label == "negative ELBO")
        assert row.best == best
        assert (said in comparison_notes([("a", models[0]), ("b", models[1])], "*")) == is_said


def test_a_prior_other_than_the_standard_one_is_named(evaluation: Evaluation, learned_evaluation: Evaluation) -> None:
    notes = comparison_notes([("a", evaluation), ("b", learned_evaluation)], "*")
    assert [note for note in notes if "prior" in note] == ["b: ELBO, KL and -log p(x) under its prior learned"]
