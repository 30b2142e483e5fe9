"""A package in this process answers as a service of it does: the same bits, the same errors."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.make_float_package import make
from tests.support.servers import start
from vaeserve import Client, Local
from vaeserve.client.verbs import BlockingVerbs
from vaeserve.errors import CallError, InvalidInput, VaeError

if TYPE_CHECKING:
    from tests.serving.local.conftest import Pair

DATA = np.random.default_rng(0).integers(0, 17, (250, 4, 4, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(250, 3)).astype(np.float32)
DRAW = {"seed": 7, "first_row": 30}
Ask = Callable[[Any], Any]


def check_same(one: Any, other: Any) -> None:  # noqa: ANN401, results of any verb
    """Compares all that two results hold, except what they cost."""
    assert type(one) is type(other)
    for name in set(one._fields) - {"timing"}:
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, name, strict=True)
        else:
            assert left == right, name


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda one, **more: one.encode(DATA, **more),
        lambda one, **more: one.encode(DATA, output="moments", **more),
        lambda one, **more: one.encode(DATA, output="sample", **DRAW, **more),
        lambda one, **more: one.decode(LATENT, **more),
        lambda one, **more: one.decode(LATENT.astype(np.float16), output="expectation", **more),
        lambda one, **more: one.decode(one.encode(DATA), output="png", **more),
        lambda one, **more: one.sample(250, **DRAW, include_latent=True, **more),
        lambda one, **more: one.sample(250, **DRAW, prior="standard", temperature=0.5, output="expectation", **more),
        lambda one, **more: one.sample(20, **DRAW, output="png", **more),
        lambda one, **more: one.reconstruct(DATA, **more),
        lambda one, **more: one.reconstruct(DATA, latent="sample", **DRAW, output="expectation", **more),
        lambda one, **more: one.reconstruct(DATA[:20], output="png", **more),
        lambda one, **more: one.encode(list(one.sample(20, seed=1, output="png").output), **more),
        lambda one, **more: one.reconstruct(list(one.sample(20, seed=1, output="png").output), **more),
    ],
)
def test_each_verb_has_the_services_bits(pair: "Pair", ask: Callable[..., Any], dtype: str) -> None:
    check_same(ask(pair.local, dtype=dtype), ask(pair.client, dtype=dtype))


@pytest.mark.parametrize(
    "ask",
    [
        lambda one: one.encode_stream([DATA[:150], DATA[150:]], output="sample", **DRAW),
        lambda one: one.decode_stream([LATENT[:1], LATENT[1:]], output="expectation"),
        lambda one: one.reconstruct_stream([DATA[:150], DATA[150:]], latent="sample", **DRAW),
        lambda one: one.sample_stream(950, message_rows=90, include_latent=True, **DRAW),
        lambda one: one.encode_stream([]),
    ],
)
def test_each_stream_has_the_services_bits(pair: "Pair", ask: Ask) -> None:
    here, there = list(ask(pair.local)), list(ask(pair.client))
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        check_same(one, other)


def test_the_description_is_the_services_but_for_how_it_is_run(pair: "Pair") -> None:
    here, there = pair.local.get_model(), pair.client.get_model()
    assert here.execution is not None
    assert (here.execution.threads, here.execution.source, here.limits.batch_rows) == (1, "set", 7)
    assert here.is_default
    assert here.limits.call_rows == 16384
    own = {"execution", "limits"}
    assert here.model_dump(exclude=own) == there.model_dump(exclude=own)
    assert pair.local.list_models() == [here]
    assert pair.local.get_model("tiny", 1) == here


def refusal(one: BlockingVerbs, ask: Ask) -> tuple[object, ...]:
    """Returns what the caller is told of an error, all of it."""
    with pytest.raises(VaeError) as refused:
        ask(one)
    error = refused.value
    told = (getattr(error, name, None) for name in ("code", "field", "description", "reason", "retry_seconds"))
    return (type(error), str(error), *told)


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda one: one.encode(DATA[:, :3]), InvalidInput),
        (lambda one: one.encode(DATA + 90), InvalidInput),
        (lambda one: one.encode(DATA, output="mode"), InvalidInput),
        (lambda one: one.encode(DATA, seed=1), InvalidInput),
        (lambda one: one.encode([b"no image"]), InvalidInput),
        (lambda one: one.decode(np.full((2, 3), np.nan)), InvalidInput),
        (lambda one: one.decode(LATENT[:, :2]), InvalidInput),
        (lambda one: one.sample(0), InvalidInput),
        (lambda one: one.sample(1, seed=-1), InvalidInput),
        (lambda one: one.sample(1, temperature=0), InvalidInput),
        (lambda one: one.sample(1, timeout_seconds=0), InvalidInput),
        (lambda one: one.encode_stream([DATA], timeout_seconds=-1), InvalidInput),
        (lambda one: one.sample_stream(1, timeout_seconds=-1), InvalidInput),
        (lambda one: one.sample_stream(1, first_row=-1), InvalidInput),
        (lambda one: one.get_model(version=-1), InvalidInput),
        (lambda one: one.get_model("other"), CallError),
        (lambda one: one.encode(DATA, version=2), CallError),
        (lambda one: list(one.encode_stream([], model="other")), CallError),
        (lambda one: list(one.sample_stream(3, model="other")), CallError),
        (lambda one: one.sample(1, prior="none"), CallError),
        (lambda one: list(one.sample_stream(1, prior="none")), CallError),
        (lambda one: one.decode(LATENT, fingerprint="f" * 64), CallError),
        (lambda one: one.decode(one.encode(DATA)._replace(fingerprint="f" * 64)), CallError),
    ],
)
def test_a_call_fails_as_the_services_does(pair: "Pair", ask: Ask, kind: type[VaeError]) -> None:
    here, there = refusal(pair.local, ask), refusal(pair.client, ask)
    assert here[0] is kind
    assert here == there


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Local]]:
    """A table of a wide range in which values may be missing, and a model that has no answer to either extreme."""
    directory = tmp_path_factory.mktemp("table") / "package"
    make(directory, (3,), posterior="none", scale=1e10, minimum=-1e30, maximum=1e30, missing_allowed=True)
    running = start(directory)
    with Client(running.target) as client, Local(directory, threads=1, batch_rows=64) as local:
        yield client, local
    running.stop()


@pytest.mark.parametrize(
    ("value", "ask", "code"),
    [
        (np.nan, lambda one, rows: one.encode(rows), "OUT_OF_RANGE"),
        (1e29, lambda one, rows: one.encode(rows), "OUT_OF_RANGE"),
        (np.nan, lambda one, rows: one.reconstruct(rows), "OUT_OF_RANGE"),
        (np.nan, lambda one, rows: list(one.encode_stream([rows[:5], rows[5:]])), "OUT_OF_RANGE"),
        (1.0, lambda one, rows: one.encode(rows, dtype="float16"), "FAILED_PRECONDITION"),
        (1.0, lambda one, rows: one.encode(rows, output="moments"), "FAILED_PRECONDITION"),
        (1.0, lambda one, rows: one.sample(1, output="png"), "FAILED_PRECONDITION"),
    ],
)
def test_rows_without_an_answer_are_named_as_the_service_names_them(
    table: tuple[Client, Local], value: float, ask: Callable[..., object], code: str
) -> None:
    client, local = table
    rows = np.zeros((10, 3), np.float32)
    rows[[6, 9], 0] = value
    here, there = (refusal(one, lambda one: ask(one, rows)) for one in (local, client))
    assert here == there
    assert here[2] == code
