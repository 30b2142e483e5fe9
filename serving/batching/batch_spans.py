"""What the spans of recorded calls hear of the batches that their rows are in. Most calls are not recorded."""

import time

from serving.batching.batch import Batch
from serving.batching.call import A, R


def note_begin(batch: Batch[R, A]) -> None:
    """Notes that a batch begins to run on a thread: a caller may leave before it has ended."""
    for piece in batch.pieces:
        if piece.call.spans is not None:
            piece.call.spans.begin(time.monotonic())


def note_left_out(batch: Batch[R, A]) -> None:
    """Notes which calls were over or late when the thread began."""
    for piece in batch.unwanted:
        if piece.call.spans is not None:
            piece.call.spans.leave_out()


def note_end(batch: Batch[R, A], ended: float, error: str = "") -> None:
    """Makes the span of a batch that ran, if any of its calls is recorded."""
    recorded = [(piece.call.spans, len(piece.rows)) for piece in batch.wanted if piece.call.spans is not None]
    if recorded:
        recorded[0][0].call.record_batch(recorded, batch.rows, batch.started, ended, error)
