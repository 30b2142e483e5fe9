import numpy as np

from training.data.repeated import repeated


def test_a_line_counts_held_out_rows_that_were_trained_on() -> None:
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    assert repeated("x", rows[:10], rows[10:12], rows[12:]) == []
    (line,) = repeated("x", rows[:10], rows[10:12], rows[7:])
    assert line.startswith("x: 3 of 13 test rows are equal to a training row: figures of held-out rows are better")
    (line,) = repeated("x", rows[:10], rows[9:12], rows[9:])
    assert line.startswith("x: 1 of 3 validation rows and 1 of 11 test rows are")
