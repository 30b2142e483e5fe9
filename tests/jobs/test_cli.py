"""`vae job` as a user calls it."""

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from jobs.options import job_parser
from tests.support.commands import Streams, refused
from tests.support.jobs import hashes, write_picture
from tests.support.servers import ROOT, VAE, RunVae, until
from vaeserve.command.cli import run
from vaeserve.command.options import slips_of


def test_a_job_is_run_looked_at_and_verified(rows_file: Path, tmp_path: Path, tiny: Path, vae: RunVae) -> None:
    out = tmp_path / "out"
    done = vae("job", "encode", rows_file, "--package", tiny, "--out", out, "--partition-rows", "400")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 1,000 of 1,000 rows; 3 of 3 partitions; ")
    assert vae("job", "status", out).stdout == done.stdout
    verified = vae("job", "verify", out)
    assert verified.stdout == f"{out}: 1,000 rows, each there once; 3 files, unchanged\n"
    (out / "part-00001-of-00003.parquet").unlink()
    spoilt = vae("job", "verify", out)
    assert (spoilt.returncode, spoilt.stdout) == (1, "")
    assert "part-00001-of-00003.parquet: cannot be read" in spoilt.stderr


def test_json_is_for_machines(rows_file: Path, tmp_path: Path, tiny: Path, capsys: Streams) -> None:
    arguments = ["job", "encode", str(rows_file), "--package", str(tiny), "--out", str(tmp_path / "out"), "--json"]
    assert run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["done_rows"], result["error_rows"]) == (1000, 0)
    assert run(["job", "status", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result


def test_errors_are_listed_and_end_the_job_with_a_code_of_their_own(
    tmp_path: Path, tiny: Path, capsys: Streams
) -> None:
    for number in range(4):
        write_picture(tmp_path / "source" / f"{number}.png", number)
    for number in (1, 3):
        (tmp_path / "source" / f"{number}.png").write_bytes(b"?")
    arguments = ["job", "encode", str(tmp_path / "source"), "--package", str(tiny), "--out", str(tmp_path / "out")]
    assert run(arguments) == 3
    assert capsys.readouterr().err.splitlines() == [
        "vae: 2 of 4 rows have an error, --max-errors allows 1; the first:",
        "  row 1 (1.png, row 0): is not a PNG, JPEG or WebP",
        "  row 3 (3.png, row 0): is not a PNG, JPEG or WebP",
    ]
    assert run([*arguments, "--max-errors", "50%"]) == 0
    capsys.readouterr()
    assert run(["job", "status", str(tmp_path / "out"), "--errors"]) == 0
    assert "row 3 (3.png, row 0): is not a PNG, JPEG or WebP" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_job_says_how_to_go_on(
    rows_file: Path, tmp_path: Path, tiny: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    command = [*VAE, "job", "encode", str(rows_file), "--package", str(tiny), "--out", str(out)]
    command += ["--partition-rows", "10", "--batch-rows", "1", "--workers", "1"]
    job = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: [*(out / "_job" / "done").glob("*.json")])
    workers = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    assert job.pid not in map(os.getpgid, map(int, workers))  # they would print where they were
    os.killpg(job.pid, number)  # as Ctrl-C does: the whole group hears it
    _, err = job.communicate(timeout=60)
    assert job.returncode == code
    assert err.splitlines()[-1].startswith("vae: stopped: ")
    assert err.splitlines()[-1].endswith("of 100 partitions are done; run the same command to go on")
    assert not [*out.glob(".*")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert len(hashes(out)) == 100


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--count", "0"], "vae: --count: is 0, must be at least 1"),
        (["--count", "5", "--seed", "-1"], "vae: --seed: is -1, must be at least 0"),
        (["--count", "5", "--temperature", "0"], "vae: --temperature: is 0.0, must be above 0"),
        (["--count", "5", "--temperature", "nan"], "vae: --temperature: is nan, must be a finite number"),
        (["--count", "5", "--threads", "0"], "vae: --threads: is 0, must be at least 1"),
        (["--count", "5", "--workers", "-1"], "vae: --workers: is -1, must be at least 0"),
        (["--count", "5", "--batch-rows", "65537"], "vae: --batch-rows: is 65537, must be at most 65536"),
        (["--count", "5", "--partition-rows", "0"], "vae: --partition-rows: is 0, must be at least 1"),
        (["--count", "5", "--timeout", "0"], "vae: --timeout: is 0.0, must be above 0"),
        (["--count", "5", "--version", "2"], "vae: --version: is for --target"),
        (["--count", "5", "--model", "x"], "vae: --model: is for --target"),
        (["--count", "5", "--tls"], "vae: --tls: is for --target"),
        (["--count", "5", "--prior", "x"], "vae: --prior: is 'x', must be one of standard"),
        (["--count", "5", "--shard", "3/3"], "vae: --shard: is '3/3', must be I/N"),
        (["--count", "5", "--max-errors", "x"], "vae: --max-errors: is 'x', must be a number of rows, or a share"),
        (["--count", "5", "--format", "parquet", "--dtype", "float16"], "vae: --dtype: is for safetensors and npy"),
        (["--count", "5", "--target", "127.0.0.1:1"], "vae: --package or --target: must be given, one of the two"),
    ],
)
def test_wrong_options_are_one_line(options: list[str], line: str, tmp_path: Path, tiny: Path, capsys: Streams) -> None:
    arguments = ["job", "sample", "--package", str(tiny), "--out", str(tmp_path / "out"), *options]
    assert refused(arguments, capsys).startswith(line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--threads", "2"], "vae: --threads: is for --package"),
        (["--provider", "cpu"], "vae: --provider: is for --package"),
        (["--version", "-1"], "vae: --version: is -1, must be at least 0"),
    ],
)
def test_options_that_a_server_does_not_heed_are_refused(
    options: list[str], line: str, tmp_path: Path, capsys: Streams
) -> None:
    arguments = ["job", "sample", "--count", "5", "--target", "127.0.0.1:1", "--out", str(tmp_path / "out"), *options]
    assert refused(arguments, capsys) == line


def test_verify_counts_one_file_as_one(tmp_path: Path, tiny: Path, capsys: Streams) -> None:
    out = tmp_path / "out"
    assert run(["job", "sample", "--count", "1", "--package", str(tiny), "--out", str(out)]) == 0
    capsys.readouterr()
    assert run(["job", "verify", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 1 row, each there once; 1 file, unchanged\n"


def test_an_absent_service_is_one_line(tmp_path: Path, port: str, capsys: Streams) -> None:
    arguments = ["job", "sample", "--count", "5", "--target", f"127.0.0.1:{port}", "--out", str(tmp_path / "out")]
    assert "nothing listens at" in refused(arguments, capsys)


def test_misspelt_options_of_verbs_within_are_named(capsys: Streams) -> None:
    assert "no such option: --pakage (did you mean --package?)" in refused(
        ["job", "encode", "x", "--out", "y", "--pakage", "z"], capsys, 2
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["encode", "--input", "x.npy"],
            "--input (the source has no option: `vae job encode SOURCE --out DIR`); `vae job",
        ),
        (
            ["decode", "z.npz", "--expectation"],
            "--expectation (it is --output expectation); `vae job decode --help` lists",
        ),
        (["reconstruct", "x.npy", "--skip-bad"], "--skip-bad (rows with an error are left out and listed, up to --max"),
        (
            ["encode", "x.npy", "--count", "5"],
            "--count (did you mean --out?); `vae job encode --help` lists the options",
        ),
    ],
)
def test_options_of_the_verbs_outside_jobs_are_told_apart(arguments: list[str], said: str, capsys: Streams) -> None:
    assert refused(["job", *arguments, "--out", "d", "--package", "p"], capsys, code=2).startswith(
        f"vae: no such option: {said}"
    )


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct", "sample"])
def test_verbs_outside_jobs_know_which_options_only_jobs_have(verb: str, capsys: Streams) -> None:
    (verbs,) = (action for action in job_parser()._actions if isinstance(action, argparse._SubParsersAction))
    of_job = verbs.choices[verb]._option_string_actions
    for option in slips_of(verb).keys() - {"--source"}:
        assert option in of_job
        said = f"vae: no such option: {option} (it is an option of `vae job {verb}`)"
        assert refused([verb, option, "1", "--out", "x.npz"], capsys, code=2).startswith(said)


def test_a_job_elsewhere_is_no_job(tmp_path: Path, capsys: Streams) -> None:
    assert refused(["job", "status", str(tmp_path)], capsys) == f"vae: {tmp_path}: holds no job"
