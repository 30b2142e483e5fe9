"""A table of a wide range, of a model without a posterior, through a real server: what it answers, what it cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.support.make_float_package import make
from tests.support.servers import RunningServer, RunVae, start
from vaeserve import Client
from vaeserve.errors import CallError, InvalidInput
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

COLUMNS = ("age", "TSH, mU/l", "T3")
ROWS = np.array([[0.1, -0.5, 0.9], [1e6, 0, 0], [1e29, 0, 0]], np.float32)  # the last two are unlike any that was seen


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("table") / "package"
    make(directory, (3,), posterior="none", minimum=-1e30, maximum=1e30, columns=COLUMNS)
    running = start(directory)
    yield running
    log = running.stop()
    assert "Traceback" not in log


def test_the_columns_are_told(client: Client, vae: RunVae, server: RunningServer) -> None:
    model = client.get_model()
    assert (model.posterior, model.data.columns) == ("none", COLUMNS)
    assert (model.data.minimum, model.data.maximum) == (-1e30, 1e30)
    assert "columns      age, TSH, mU/l, T3" in vae("info", "--target", server.target).stdout


def test_means_decodings_and_samples_are_answered(client: Client) -> None:
    encoded = client.encode(ROWS)
    assert encoded.log_variance is None
    np.testing.assert_allclose(encoded.latent[:, 0], ROWS[:, 0])
    decoded = client.decode(encoded).output
    assert np.all(np.abs(decoded) <= 1)
    sampled = client.sample(20, seed=3, include_latent=True)
    noise = standard_normals(Purpose.PRIOR, [RowRange(3, 0, 20)], 2)
    assert sampled.latent is not None
    np.testing.assert_array_equal(sampled.latent, noise)
    np.testing.assert_array_equal(client.decode(noise).output, sampled.output)


def test_a_frames_columns_are_taken_by_name(client: Client) -> None:
    table = pa.table({"T3": ROWS[:, 2], "note": ["a", "b", "c"], "age": ROWS[:, 0], "TSH, mU/l": ROWS[:, 1]})
    [streamed] = client.encode_stream([table])
    for encoded in (client.encode(table), streamed):
        assert encoded.latent.tobytes() == client.encode(ROWS).latent.tobytes()
    with pytest.raises(
        InvalidInput, match="data: has no column 'TSH, mU/l', which the model takes; it has 'age', 'T3'"
    ):
        client.encode(pa.table({"age": ROWS[:, 0], "T3": ROWS[:, 2]}))


def test_a_row_unlike_any_scores_without_a_posterior(client: Client) -> None:
    scored = client.reconstruct(ROWS)
    assert (scored.kl, scored.elbo, scored.log_likelihood) == (None, None, None)
    expected = ((ROWS.astype(np.float64) - scored.output) ** 2).sum(1)
    np.testing.assert_allclose(scored.squared_error[:2], expected[:2], rtol=1e-6)
    assert scored.squared_error[2] == np.inf  # float32 holds no more than 3e38


def test_files_of_columns_are_encoded_and_scored(
    client: Client, vae: RunVae, server: RunningServer, tmp_path: Path
) -> None:
    rows = ROWS[:2]
    cells = {"T3": rows[:, 2], "note": ["a", "b"], "age": rows[:, 0], "TSH, mU/l": rows[:, 1]}
    pa.parquet.write_table(pa.table(cells), tmp_path / "rows.parquet")
    lines = ["T3;note;age;TSH, mU/l", *(f"{row[2]};a;{row[0]};{row[1]}" for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    np.savez(tmp_path / "rows.npz", X=rows)
    expected = client.encode(rows).latent
    for name in ("rows.parquet", "rows.csv", "rows.npz"):
        vae("encode", "--target", server.target, "--input", str(tmp_path / name), "--out", str(tmp_path / "z.npz"))
        with np.load(tmp_path / "z.npz") as archive:
            assert archive["latent"].tobytes() == expected.tobytes()

    (tmp_path / "rows.csv").write_text("\n".join([*lines, "1;a;old;2", "1;a;3;2"]))
    out = tmp_path / "scores.csv"
    reconstruct = ["reconstruct", "--target", server.target, "--input", str(tmp_path / "rows.csv"), "--out", str(out)]
    said = f"{tmp_path / 'rows.csv'}: row 2: column 'age' holds 'old'"
    assert said in vae(*reconstruct).stderr
    assert f"left out 1:\n  {said}\n" in vae(*reconstruct, "--skip-bad").stderr
    assert [line.partition(",")[0] for line in out.read_text().splitlines()] == ["row", "0", "1", "3"]
    (tmp_path / "rows.csv").write_text("T3,age\n1,2\n")
    assert "has no column 'TSH, mU/l', which the model takes; it has 'T3', 'age'" in vae(*reconstruct).stderr


REFUSED: list[Callable[[Client], object]] = [
    lambda client: client.encode(ROWS, output="sample"),
    lambda client: client.encode(ROWS, output="moments"),
    lambda client: client.reconstruct(ROWS, latent="sample"),
    lambda client: list(client.encode_stream([ROWS], output="moments")),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_a_posterior_is_refused(client: Client, call: Callable[[Client], object]) -> None:
    with pytest.raises(CallError, match="model floats has no posterior, only a mean") as refused:
        call(client)
    assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "NO_POSTERIOR")
