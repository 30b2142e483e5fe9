"""A batch job in a container: killed and run again, it leaves what an undisturbed one leaves."""

from pathlib import Path

import numpy as np

from tests.support.containers import Deployment, docker
from tests.support.servers import until

_ROWS, _PARTITION_ROWS = 2_000_000, 20_000
_PARTITIONS = _ROWS // _PARTITION_ROWS
_COMMAND = ("encode", "/data/rows.npy", "--package", "/models/live/digits", "--partition-rows", str(_PARTITION_ROWS))
_HASHES = "cd $0 && find . -name 'part-*' -type f | sort | xargs sha256sum"


def test_a_job_that_is_killed_goes_on(deployment: Deployment, tmp_path: Path, figures: list[str]) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (_ROWS, 8, 8, 1)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    for path in (tmp_path, tmp_path / "rows.npy"):
        path.chmod(0o755)
    deployment.environment["VAESERVE_DATA"] = str(tmp_path)
    deployment.run("job", *_COMMAND, "--out", "/results/whole")

    command = ("run", "--detach", "--no-deps", "-T", "job", *_COMMAND, "--out", "/results/killed")
    container = deployment.compose(*command).stdout.strip()
    look = ("exec", container, "ls", "/results/killed/_job/done")
    until(lambda: len(docker(*look, check=False).stdout.split()) >= 2)
    docker("kill", container)
    done = len(_inside(deployment, "ls /results/killed/_job/done").split())
    docker("rm", container)
    assert done < _PARTITIONS, "the job was killed too late to matter"
    deployment.run("job", *_COMMAND, "--out", "/results/killed")

    expected, found = (_inside(deployment, _HASHES, f"/results/{name}") for name in ("whole", "killed"))
    assert len(expected.splitlines()) == _PARTITIONS
    assert found == expected
    deployment.run("job", "verify", "/results/killed")
    figures.append(f"job of {_ROWS} rows killed after {done} of {_PARTITIONS} partitions: the same bytes")


def _inside(deployment: Deployment, script: str, *arguments: str) -> str:
    command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "job", "-c", script, *arguments)
    return deployment.compose(*command, check=False).stdout
