"""What is remembered of packages that cannot be served, and how often it is said."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.models.refusals import Refusals
from vaeserve.errors import PackageError

ROOT, A, B = Path("models"), Path("models/a"), Path("models/b")
BAD = PackageError("bad")


def test_a_refusal_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counter[str]()
    refusals = Refusals(counts)
    refusals.add(A, "a", None, BAD)
    assert caplog.messages == []  # not before somebody is served
    refusals.log()
    for _ in range(2):
        refusals.add(A, "a", None, BAD)
    refusals.add(A, "a", None, PackageError("worse"))
    assert counts == {"a": 2}
    assert caplog.messages == [f"models/a is not taken, what is served stays: {said}" for said in ("bad", "worse")]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_what_was_refused_is_known_until_it_is_served_gone_or_asked_for_again() -> None:
    refusals = Refusals(Counter())
    ways: list[Callable[[], None]] = [lambda: refusals.remove(A), lambda: refusals.keep({B}), refusals.clear]
    for forget in ways:
        refusals.add(A, "a", None, BAD)
        assert refusals.has(A, None)
        assert refusals.covers(A / "within")
        assert not refusals.covers(B)
        forget()
        assert not refusals.has(A, None)


def test_where_nothing_can_be_served_the_error_says_why() -> None:
    refusals = Refusals(Counter())
    assert "models is not a model package" in str(refusals.as_error(ROOT))
    refusals.add(A, "a", None, BAD)
    assert refusals.as_error(ROOT) is BAD
    refusals.add(B, "b", None, PackageError("worse"))
    assert str(refusals.as_error(ROOT)) == "no package of 2 can be served: bad; worse"
