from tests.training.evaluate.conftest import BUDGET, LinearGaussian, affine_prior
from training.evaluate.prior_evidence import prior_evidence
from training.evaluate.references import references_of
from training.evaluate.rows import EvaluationRows


def test_a_prior_far_from_the_rows_is_all_holes_and_covers_nothing(model: LinearGaussian, rows: EvaluationRows) -> None:
    served = model.served(priors={"far": affine_prior(1.0, 30.0)})
    references = references_of(served, rows, served.encode(rows.test), BUDGET)
    far = prior_evidence(served, "far", references, BUDGET)
    assert (far.name, far.hole_fraction) == ("far", 1.0)
    assert {(drawn.density, drawn.coverage) for drawn in far.samples} == {(0.0, 0.0)}
    standard = prior_evidence(served, "standard", references, BUDGET)
    assert [drawn.features for drawn in standard.samples] == ["values", "classifier"]
    assert min(drawn.coverage or 0 for drawn in standard.samples) > 0.7
    assert standard.cycle_deviations is not None
