"""The inner loop of a job that encodes, on one core: ours, or the shortest that can be written by hand.

    python -m benchmarks.batch_loop job|bare PACKAGE SOURCE OUT BATCH_ROWS [PARTITION_ROWS]

Both read the same files, run the same graph in batches of the same size, and write latents as Parquet. Prints rows,
seconds of processor time and of wall clock from the first row read to the last file closed, and seconds to get there.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from benchmarks.batch_sources import SHAPE
from jobs.engine.opening import EngineChoice
from jobs.plan.folder import JobFolder
from jobs.plan.planning import find_plan
from jobs.plan.request import JobRequest
from jobs.run.messages import Begin
from jobs.run.partition import run_partition
from jobs.run.worker import open_job
from vaeserve.files import AnyArray
from vaeserve.package.directory import ModelPackage
from vaeserve.runtime import prepare_onnxruntime

IDX_HEADER_BYTES = 16


def main() -> None:
    side, package, source, out, batch, *more = sys.argv[1:]
    paths = Path(package), Path(source), Path(out)
    began = time.perf_counter()
    run = job(*paths, int(batch), *map(int, more)) if side == "job" else bare(*paths, int(batch))
    opened, processor = time.perf_counter(), time.process_time()
    rows = run()
    print(rows, time.process_time() - processor, time.perf_counter() - opened, opened - began)


def job(package: Path, source: Path, out: Path, batch: int, partition_rows: int = 0) -> Callable[[], int]:
    """Plans a job and opens it; returns what computes all of its partitions, as a worker does."""
    engine = EngineChoice(package=package, provider="cpu")
    request = JobRequest.parse(
        verb="encode", addresses=(str(source),), batch_rows=batch, partition_rows=partition_rows or None
    )
    find_plan(JobFolder(out), request, engine, trusts_source=False, updates=False)
    opened = open_job(Begin(out=out, engine=engine))

    def run() -> int:
        return sum(run_partition(opened, partition, lambda *_: None).rows for partition in opened.plan.partitions)

    return run


def bare(package: Path, source: Path, out: Path, batch: int) -> Callable[[], int]:
    """Opens a session; returns what reads, infers and writes a file."""
    prepare_onnxruntime()
    import onnxruntime

    opened = ModelPackage.open(package)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = opened.read(opened.manifest.graphs.encoder)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    session.run(["mean"], {"data": np.zeros((batch, *opened.manifest.data.shape), np.uint8)})
    read = _pictures if source.is_dir() else _table if source.suffix == ".parquet" else _idx

    def run() -> int:
        rows, writer = 0, None
        for data in read(source, batch):
            (mean,) = session.run(["mean"], {"data": data})
            offsets = np.arange(len(mean) + 1, dtype=np.int32) * mean.shape[1]
            table = pa.table({"latent": pa.ListArray.from_arrays(offsets, mean.reshape(-1))})
            writer = writer or pa.parquet.ParquetWriter(out, table.schema)
            writer.write_table(table)
            rows += len(mean)
        if writer is not None:
            writer.close()
        return rows

    return run


def _pictures(folder: Path, batch: int) -> Iterator[AnyArray]:
    paths = sorted(folder.rglob("*.jpg"))
    for start in range(0, len(paths), batch):
        yield np.stack([np.asarray(Image.open(path)) for path in paths[start : start + batch]])


def _table(path: Path, batch: int) -> Iterator[AnyArray]:
    for rows in pa.parquet.ParquetFile(path).iter_batches(batch):
        yield rows.column(0).flatten().to_numpy().reshape(-1, *SHAPE)


def _idx(path: Path, batch: int) -> Iterator[AnyArray]:
    rows = np.memmap(path, np.uint8, "r", IDX_HEADER_BYTES).reshape(-1, *SHAPE)
    for start in range(0, len(rows), batch):
        yield rows[start : start + batch]


if __name__ == "__main__":
    main()
