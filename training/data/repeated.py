"""Held-out rows that are training rows too."""

from vaeserve.files import AnyArray


def repeated(name: str, train: AnyArray, validation: AnyArray, test: AnyArray) -> list[str]:
    """Returns a line about held-out rows that are equal to a training row; none where there are none.

    Args:
        name: of the data.
        train: rows to train on.
        validation: rows to validate on, perhaps none.
        test: rows to test on.
    """
    trained = {hash(row.tobytes()) for row in train}  # 64 bits a row: chance makes no two of them equal
    counts = {
        what: sum(hash(row.tobytes()) in trained for row in rows)
        for what, rows in (("validation", validation), ("test", test))
    }
    parts = {"validation": len(validation), "test": len(test)}
    listed = [f"{count} of {parts[what]} {what} rows" for what, count in counts.items() if count]
    if not listed:
        return []
    return [
        f"{name}: {' and '.join(listed)} are equal to a training row: figures of held-out rows are better than those "
        "of new rows would be"
    ]
