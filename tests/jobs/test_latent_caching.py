"""Pictures of many sizes become latents of a few, and every picture can be found again, whatever happens to the job."""

import json
import runpy
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from jobs.job import Allowance, HowToRun, Shard, run_job
from jobs.plan.folder import JobFolder
from jobs.plan.request import JobRequest
from jobs.python import engine_of
from jobs.run.progress import Speaker
from jobs.run.workers import Workers
from tests.support.jobs import faults, hashes, run, table_of
from tests.support.make_free_package import encode, make
from tests.support.photos import SIZES, write_photo, write_photos
from tests.support.servers import ROOT, running
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize

BUCKETS = "48x32,32x48,32x32"
OPTIONS: dict[str, Any] = {"buckets": BUCKETS, "partition_rows": 2, "batch_rows": 64}
pytestmark = pytest.mark.usefixtures("in_process")  # workers of other tests are the same for many sizes

ALL_MAY_FAIL = HowToRun(workers=1, allowance=Allowance(10**6))


class Cached(NamedTuple):
    """What a shard says of one picture."""

    latent: Array
    target: list[int]
    original: list[int]
    corner: list[int]
    row: int


def read(out: Path) -> dict[str, Cached]:
    """Returns every picture of a job, by name."""
    cached = {}
    for path in sorted(out.glob("part-*.safetensors")):
        with safe_open(path, "np") as file:
            keys = ("latents", "target_size", "original_size", "crop_top_left", "row")
            columns = [file.get_tensor(key) for key in keys]
            for name, latent, *lists in zip(json.loads(file.metadata()["vaeserve.names"]), *columns, strict=True):
                assert name not in cached
                cached[name] = Cached(latent, *(values.tolist() for values in lists))
    return cached


@pytest.fixture(scope="module")
def out(photos: Path, free: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The latents of the photos."""
    out = tmp_path_factory.mktemp("job") / "out"
    run("encode", photos, out, free, **OPTIONS)
    return out


def test_every_picture_is_cropped_to_the_nearest_bucket_and_can_be_found(out: Path, photos: Path) -> None:
    cached = read(out)
    assert [*cached] == [f"{number}.png" for number in (2, 4, 7, 0, 3, 6, 1, 5)]
    for number, (width, height) in enumerate(SIZES):
        one = cached[f"{number}.png"]
        high, wide = one.target
        picture = Image.open(photos / f"{number}.png")
        scale = max(high / height, wide / width)
        left, top = (width * scale - wide) / 2, (height * scale - high) / 2
        box = (left / scale, top / scale, (left + wide) / scale, (top + high) / scale)
        row = np.asarray(picture.resize((wide, high), Image.Resampling.LANCZOS, box))
        np.testing.assert_allclose(one.latent, encode(row[None])[0][0], atol=0.05)
        assert one.original == [height, width]
        np.testing.assert_allclose(one.corner, [top, left], atol=0.51)
    assert [cached[f"{number}.png"].target for number in range(8)] == [
        *([32, 48], [48, 32], [32, 32], [32, 48]),
        *([32, 32], [48, 32], [32, 48], [32, 32]),
    ]
    assert [one.row for one in cached.values()] == [*range(8)]
    assert faults(out) == []


def test_files_name_their_size_and_the_summary_says_how_many_there_are(out: Path) -> None:
    names = sorted(path.name for path in out.glob("part-*"))
    assert [name.rsplit("-", 1)[1] for name in names] == [
        *["32x32.safetensors"] * 2,
        *["48x32.safetensors"] * 2,
        "32x48.safetensors",
    ]
    summary = json.loads(JobFolder(out).summary.read_text())
    assert summary["buckets"] == [
        {"size": [32, 32], "rows": 3},
        {"size": [32, 48], "rows": 3},
        {"size": [48, 32], "rows": 2},
    ]
    assert [entry["size"] for entry in summary["files"]] == [[32, 32]] * 2 + [[32, 48]] * 2 + [[48, 32]]


def test_statistics_are_those_of_all_places_of_a_channel(out: Path) -> None:
    places = np.concatenate([one.latent.reshape(4, -1) for one in read(out).values()], axis=1).astype(np.float64)
    latents = json.loads(JobFolder(out).summary.read_text())["latents"]
    assert latents["count"] == places.shape[1]
    np.testing.assert_allclose(latents["mean"], places.mean(1), rtol=1e-12)
    np.testing.assert_allclose(latents["deviation"], places.std(1), rtol=1e-12)
    stored = torch.load(out / "latents_stats.pt", weights_only=True)
    assert stored["mean"].shape == stored["std"].shape == (1, 4, 1, 1)


def test_who_computes_and_when_changes_no_byte(
    out: Path, photos: Path, free: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.job.Workers", Workers)
    run("encode", photos, tmp_path / "out", free, HowToRun(workers=1, shard=Shard(1, 2)), **OPTIONS)
    run("encode", photos, tmp_path / "out", free, HowToRun(workers=2), **OPTIONS)
    assert hashes(tmp_path / "out") == hashes(out)


def test_a_service_gives_the_bytes_of_its_package(photos: Path, free: Path, tmp_path: Path) -> None:
    asked = OPTIONS | {"output": "sample", "seed": 3, "partition_rows": 3}
    run("encode", photos, tmp_path / "own", free, **asked)
    with running(free, "--call-rows", "9", "--batch-rows", "7") as server:  # of 16 x 16: one or two of these
        request = JobRequest.parse(verb="encode", addresses=(str(photos),), **asked)
        choice = engine_of({"target": server.target})
        run_job(request, choice, tmp_path / "served", HowToRun(), Speaker("quiet"))
    assert hashes(tmp_path / "served") == hashes(tmp_path / "own")


def test_draws_do_not_depend_on_the_partitions(photos: Path, free: Path, tmp_path: Path) -> None:
    for rows in (1, 3):
        asked = OPTIONS | {"partition_rows": rows, "output": "sample", "seed": 3}
        run("encode", photos, tmp_path / str(rows), free, **asked)
    one, other = read(tmp_path / "1"), read(tmp_path / "3")
    assert one.keys() == other.keys()
    assert all(one[name].latent.tobytes() == other[name].latent.tobytes() for name in one)


def test_an_update_computes_the_partitions_that_a_picture_leaves_and_enters(free: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    run("encode", write_photos(photos), out, free, **OPTIONS)
    before = hashes(out)
    write_photo(photos / "3.png", 100, 60, 99)  # other pixels, the same size
    assert _new_rows(photos, out, free) == {"48x32": ["0.png", "3.png"]}
    write_photo(photos / "3.png", 60, 100, 99)  # turned
    assert _new_rows(photos, out, free) == {"48x32": ["0.png"], "32x48": ["3.png"]}
    assert len(before.items() & hashes(out).items()) == 4
    run("encode", photos, tmp_path / "fresh", free, **OPTIONS)
    fresh, updated = read(tmp_path / "fresh"), read(out)
    assert fresh.keys() == updated.keys()
    for name, one in fresh.items():
        np.testing.assert_array_equal(one.latent, updated[name].latent)
        assert one[1:4] == updated[name][1:4]


def _new_rows(photos: Path, out: Path, package: Path) -> dict[str, list[str]]:
    """Updates a job, and returns which pictures were computed, by bucket."""
    before = hashes(out)
    run("encode", photos, out, package, HowToRun(workers=1, update=True), **OPTIONS)
    folder = JobFolder(out)
    assert faults(out) == []
    return {
        partition.file.rsplit("-", 1)[1].split(".")[0]: [span.file for span in folder.read_spans(partition)]
        for partition in folder.read_plan().partitions
        if partition.file not in before
    }


def test_archives_give_the_latents_of_their_pictures(out: Path, photos: Path, free: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for path in sorted(photos.iterdir()):
            archive.add(path, path.name)
    run("encode", tmp_path / "photos.tar", tmp_path / "out", free, **OPTIONS)
    unpacked, packed = read(out), read(tmp_path / "out")
    assert [*packed] == [f"photos.tar/{name}" for name in unpacked]
    assert all(one.latent.tobytes() == packed[f"photos.tar/{name}"].latent.tobytes() for name, one in unpacked.items())


def test_pictures_are_scored_by_a_pair_without_a_prior_as_imported_ones_are(photos: Path, tmp_path: Path) -> None:
    package = make(tmp_path / "package", priors=(), default_prior="").directory
    run("reconstruct", photos, tmp_path / "scores", package, ALL_MAY_FAIL, **OPTIONS)
    columns = table_of(tmp_path / "scores").column_names
    assert "squared_error" in columns
    assert not {"kl", "elbo", "log_likelihood"} & {*columns}
    with pytest.raises(InvalidInput, match="the verb: is sample: model free has no prior, so nothing"):
        run("sample", (), tmp_path / "drawn", package, count=2)


def test_cached_latents_are_decoded_at_their_own_sizes(out: Path, free: Path, tmp_path: Path) -> None:
    summary = run("decode", out, tmp_path / "decoded", free, partition_rows=2)
    parts = [np.load(path) for path in sorted((tmp_path / "decoded").glob("part-*.npy"))]
    assert [part.shape for part in parts] == [
        (2, 32, 32, 3),
        (1, 32, 32, 3),
        (2, 32, 48, 3),
        (1, 32, 48, 3),
        (2, 48, 32, 3),
    ]
    assert [bucket.size for bucket in summary.buckets] == [(32, 32), (32, 48), (48, 32)]
    run("encode", tmp_path / "decoded", tmp_path / "again", free, partition_rows=2, format="parquet")
    assert table_of(tmp_path / "again").num_rows == 8


def test_a_trainer_reads_batches_of_one_size(out: Path) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "cached_latents.py"))
    latents = example["CachedLatents"](out)
    batches = example["BucketBatches"](latents, 2)
    seen = []
    for batch in torch.utils.data.DataLoader(latents, batch_sampler=batches):
        assert batch["latents"].shape[1:] == (4, *(int(side) // 8 for side in batch["target_size"][0]))
        seen += batch["name"]
    assert sorted(seen) == [f"{number}.png" for number in range(8)]
    assert len(batches) == 5
    orders = [[*batches], [*batches]]
    batches.epoch = 1
    assert orders[0] == orders[1] != [*batches]


def test_bad_pictures_are_errors_and_the_others_are_cached(free: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_photo(photos / "good.png", 64, 64, 0)
    good = Image.open(photos / "good.png")
    good.convert("L").save(photos / "grey.png")
    good.convert("CMYK").save(photos / "cmyk.jpg")
    good.putalpha(100)
    good.save(photos / "seen_through.png")
    (photos / "cut_short.png").write_bytes((photos / "good.png").read_bytes()[:3000])
    (photos / "nothing.png").write_bytes(b"")
    write_photo(photos / "small.png", 31, 40, 0)
    asked = OPTIONS | {"small": "refuse", "partition_rows": 100}
    summary = run("encode", photos, tmp_path / "out", free, ALL_MAY_FAIL, **asked)
    assert (summary.rows, summary.error_rows) == (7, 4)
    assert sorted(read(tmp_path / "out")) == ["cmyk.jpg", "good.png", "grey.png"]
    folder = JobFolder(tmp_path / "out")
    reasons = {error.source: error.reason for marker in folder.markers(folder.read_plan()) for error in marker.errors}
    assert reasons == {
        "cut_short.png": "is not an intact PNG",
        "nothing.png": "is not a PNG, JPEG, WebP or TIFF",
        "seen_through.png": "has transparent pixels: what is behind them is not known; save it without an alpha "
        "channel",
        "small.png": "is 31 x 40 pixels, smaller than its bucket of 32 x 48",
    }
    run("encode", photos, tmp_path / "table", free, ALL_MAY_FAIL, **asked, format="parquet")
    table = table_of(tmp_path / "table")
    assert table["original_size"].is_null().to_pylist() == [bool(error) for error in table["error"].to_pylist()]


def test_arrays_keep_their_size(free: Path, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    summary = run("encode", tmp_path / "rows.npy", tmp_path / "out", free)
    assert [(bucket.size, bucket.rows) for bucket in summary.buckets] == [(PictureSize(24, 40), 3)]
    with safe_open(next((tmp_path / "out").glob("part-*")), "np") as file:
        np.testing.assert_allclose(file.get_tensor("latents"), encode(rows)[0], atol=1e-4)
        assert "original_size" not in file.keys()  # noqa: SIM118, it is not a dictionary
    np.save(tmp_path / "rows.npy", rows[:, :23])
    with pytest.raises(InvalidInput, match=r"rows.npy: has shape \[3, 23, 40, 3\], must be \[rows, height, width, 3\]"):
        run("encode", tmp_path / "rows.npy", tmp_path / "other", free)
