"""What a loaded model says of itself, and the limits of a call."""

import pytest

from serving.models.loaded import CallLimits, LoadedModel, call_limits
from serving.models.loading import ProvedModel, load
from serving.settings import Settings


@pytest.fixture
def proved(settings: Settings) -> ProvedModel:
    return load(settings.package, settings)


def test_a_model_is_neutral_and_says_where_it_comes_from(settings: Settings, proved: ProvedModel) -> None:
    loaded = LoadedModel(proved=proved._replace(row_seconds=0.7), limits=call_limits(proved, settings))
    assert loaded.key == ("tiny", 1)
    assert loaded.manifest is proved.manifest
    assert (loaded.provider, loaded.row_seconds, loaded.is_default) == ("cpu", 0.7, False)
    assert (loaded.execution, loaded.exactness) == (proved.execution, proved.exactness)
    assert loaded.limits == CallLimits(16_384, settings.message_bytes, 64)


def test_a_call_of_wide_rows_holds_fewer_of_them(settings: Settings, proved: ProvedModel) -> None:
    narrow = settings.model_copy(update={"message_bytes": 1000})
    row_bytes = max(4 * 16, 16 + 4 + 72) + 4 * (3 + 4)  # as a PNG file a small image is longer
    assert call_limits(proved, narrow).call_rows == 1000 // row_bytes
