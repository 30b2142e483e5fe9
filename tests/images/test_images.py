"""What the images hold, and whom they run for."""

import re
from pathlib import Path

import pytest

from tests.support.containers import IMAGES, LOCKED_DOWN, TAG, Deployment, detached, docker, inspect, moment
from tests.support.packages import publish
from tests.support.servers import until

_SERVING = f"vaeserve:{TAG}"
_LARGEST_BYTES = 400e6


def _inside(image: str, *command: str) -> str:
    return docker("run", "--rm", "--entrypoint", command[0], f"{image}:{TAG}", *command[1:]).stdout


def test_the_image_of_the_service_is_small(deployment: Deployment, figures: list[str]) -> None:
    sizes = {
        image: int(docker("image", "inspect", "--format", "{{.Size}}", f"{image}:{TAG}").stdout)
        for image in IMAGES.values()
    }
    figures += [f"image {image}: {size / 1e6:.0f} MB" for image, size in sizes.items()]
    assert sizes["vaeserve"] < _LARGEST_BYTES


def test_the_image_of_the_service_holds_what_it_runs(deployment: Deployment) -> None:
    search = ("find", "/", "-xdev", "-perm", "/6000", "-type", "f")
    assert docker("run", "--rm", "--user", "0", "--entrypoint", search[0], _SERVING, *search[1:]).stdout == ""
    names = "torch", "onnx", "pip", "training"
    absent = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    assert _inside("vaeserve", "python3", "-c", absent).strip() == "[]"


def test_labels_say_what_an_image_is(deployment: Deployment) -> None:
    for image in IMAGES.values():
        labels = inspect(f"{image}:{TAG}")["Config"]["Labels"]
        for name in ("title", "description", "version", "licenses"):
            assert labels.get(f"org.opencontainers.image.{name}"), f"{image}: {name}"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that every user may read."""
    made = publish(tmp_path / "package")
    for path in (tmp_path, made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


@pytest.mark.parametrize("user", ["10001:10001", "12345:0", "65534:65534", "0:0"])
def test_any_user_can_serve(deployment: Deployment, package: Path, user: str, figures: list[str]) -> None:
    options = ("--user", user, "--env", "VAE_PACKAGE=/package", "--volume", f"{package}:/package:ro", *LOCKED_DOWN)
    with detached(*options, _SERVING) as container:
        until(lambda: _health(container) != "starting")
        state, log = inspect(container)["State"], docker("logs", container)
        assert state["Health"]["Status"] == "healthy", log.stdout + log.stderr
        [ready] = re.findall(r"^(\S+) serving tiny", docker("logs", "--timestamps", container).stdout, re.MULTILINE)
        begin, healthy = moment(state["StartedAt"]), moment(state["Health"]["Log"][-1]["End"])
        seconds = moment(ready) - begin, healthy - moment(ready)
        figures.append(f"user {user}: ready {seconds[0]:.1f} s after its start, healthy {seconds[1]:.1f} s later")
        docker("stop", container)
        assert inspect(container)["State"]["ExitCode"] == 0


def _health(container: str) -> str:
    state = inspect(container)["State"]
    assert state["Running"], docker("logs", container).stderr
    return str(state["Health"]["Status"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "VAE_PACKAGE=/nothing"], "/nothing is not a directory"),
        (["--env", "VAE_PACKAGE=/package", "--env", "VAE_TOKEN_FILE=/secret", "--env", "VAE_TLS_ENDS_ELSEWHERE=true"],
         "/secret"),
        (["--env", "VAE_PACKAGE=/package", "--env", "VAE_PORT=9464"], "9464"),
        (["--env", "VAE_PACKAGE=/package", "--env", "VAE_PROVIDER=cuda"], "has no CUDA"),
        ([], "no PACKAGE, and VAE_PACKAGE is not set"),
    ],
    ids=["no package", "secret that cannot be read", "port that is not free", "no GPU", "nothing"],
)  # fmt: skip
def test_what_cannot_start_ends_with_one_line(
    deployment: Deployment, package: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "secret").write_text("token\n")
    (tmp_path / "secret").chmod(0o600)
    volumes = ["--volume", f"{package}:/package:ro", "--volume", f"{tmp_path / 'secret'}:/secret:ro"]
    ended = docker("run", "--rm", *LOCKED_DOWN, *volumes, *options, _SERVING, check=False)
    assert ended.returncode in (1, 2)
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_corrupt_package_ends_it_unless_it_may_wait(deployment: Deployment, package: Path) -> None:
    good = package / "decoder.onnx"
    content = good.read_bytes()
    good.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    options = ("--env", "VAE_PACKAGE=/package", "--volume", f"{package}:/package", *LOCKED_DOWN)
    ended = docker("run", "--rm", *options, _SERVING, check=False)
    assert ended.returncode == 1
    assert "wrong checksum" in ended.stderr.splitlines()[-1]
    with detached("--env", "VAE_WAIT_FOR_PACKAGE=true", *options, _SERVING) as container:
        until(lambda: "waiting" in docker("logs", container).stderr)
        assert "NOT_SERVING" in docker("exec", container, "vae", "health", check=False).stdout
        good.write_bytes(content)
        until(lambda: _health(container) == "healthy")


def test_a_full_volume_ends_training_with_one_line(deployment: Deployment) -> None:
    options = ("--tmpfs", "/models:size=64k,mode=1777", "--tmpfs", "/tmp", *LOCKED_DOWN)
    ended = docker("run", "--rm", *options, f"vaeserve-training:{TAG}", check=False)
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
