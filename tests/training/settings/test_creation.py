from datetime import UTC, datetime

import pytest

from training.settings.creation import creation_time
from vaeserve.errors import TrainingError


def test_a_package_is_as_old_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert creation_time() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert (creation_time().tzinfo, creation_time().microsecond) == (UTC, 0)


@pytest.mark.parametrize("seconds", ["soon", "", "1e9", "9" * 30])
def test_another_text_than_seconds_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
    with pytest.raises(TrainingError, match="is not a number of seconds since 1970"):
        creation_time()
