"""When a package says that it was made.

It imports only the standard library, because verbs check the setting before they load libraries that read it too.
"""

import os
from datetime import UTC, datetime

from vaeserve.errors import TrainingError


def creation_time() -> datetime:
    """Returns the time, or that of SOURCE_DATE_EPOCH, with which the same run gives the same bytes of every file.

    Raises:
        TrainingError: SOURCE_DATE_EPOCH is set, and is not a number of seconds since 1970.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise TrainingError(f"SOURCE_DATE_EPOCH: {seconds!r} is not a number of seconds since 1970") from exc
