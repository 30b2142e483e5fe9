from jobs.settings import ModelFacts
from jobs.sinks.layout import table_columns
from vaeserve.package.data_spec import DataSpec


def test_columns_of_a_table_take_no_name_that_a_file_needs() -> None:
    columns = ("age", "row", "error")
    data = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1, maximum=1, columns=columns)
    assert table_columns(_facts(data)) == ("age", "data.row", "data.error")
    assert table_columns(_facts(data.model_copy(update={"columns": ()}))) == ("column_0", "column_1", "column_2")


def _facts(data: DataSpec) -> ModelFacts:
    return ModelFacts(
        name="table",
        version=1,
        fingerprint="0" * 64,
        data=data,
        latent_shape=(2,),
        posterior="gaussian",
        has_likelihood=False,
        priors=("standard",),
        default_prior="standard",
        provider="cpu",
        is_exact=True,
    )
