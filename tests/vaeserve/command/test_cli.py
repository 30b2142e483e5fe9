import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import vaeserve
from vaeserve.command.cli import VERBS, run, usage
from vaeserve.package.directory import ModelPackage

ROOT = Path(__file__).parents[3]
RUN = "from vaeserve.command.cli import run; sys.exit(run(sys.argv[1:]))"


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {verb}" in said and VERBS[verb].summary in said for verb in VERBS)
    assert run([]) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["smaple"], "no such verb: smaple (did you mean sample?); `vae --help` lists them"),
        (["help", "trian"], "no such verb: trian (did you mean train?); `vae --help` lists them"),
        (["xyz", "--version"], "no such verb: xyz; `vae --help` lists them"),
        (
            ["sample", "--cuont", "3"],
            "no such option: --cuont (did you mean --count?); `vae sample --help` lists the options",
        ),
        (["info", "--xyz=3"], "no such option: --xyz; `vae info --help` lists the options"),
        (
            ["sample", "--count", "many", "--out", "x.npy"],
            "argument --count: invalid int value: 'many'; `vae sample --help` lists the options",
        ),
        (["info", ".", "--", "--jsn"], "unrecognized arguments: --jsn; `vae info --help` lists the options"),
    ],
)
def test_what_was_probably_meant(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 2
    assert capsys.readouterr().err == f"vae: {said}\n"


def test_help_of_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "sample"]) == 0
    of_a_verb = capsys.readouterr().out
    assert of_a_verb.startswith("usage: vae sample")
    assert run(["sample", "--help"]) == 0
    assert capsys.readouterr().out == of_a_verb
    assert run(["help", "job", "encode"]) == 0
    assert capsys.readouterr().out.startswith("usage: vae job encode")
    assert run(["help"]) == 0
    assert capsys.readouterr().out == f"{usage()}\n"


@pytest.mark.parametrize("given", [["--version"], ["sample", "--version"], ["serve", "--version"]])
def test_the_version_is_told_everywhere(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 0
    assert capsys.readouterr().out == f"vae {version('vaeserve')}\n"
    assert vaeserve.__version__ == version("vaeserve")


def test_python_runs_the_package_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "vaeserve"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, f"{usage()}\n")


def test_bash_completes_verbs_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for typed, wanted in ((["vae", "dec"], "decode"), (["vae", "sample", "--co"], "--count")):
        words = " ".join(typed)
        code = f"""{script}
            COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; COMP_LINE="{words}"; COMP_POINT={len(words)}
            _shtab_vae vae {typed[-1]} {typed[-2]}; echo "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(["bash", "-c", code], check=True, capture_output=True, text=True)
        assert wanted in done.stdout.split()


def test_completion_does_without_a_half_that_is_not_there(tmp_path: Path) -> None:
    lay_out(tmp_path, serving__cli="import surely_not_installed\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {RUN}"
    done = python(code, "completion", "zsh")
    assert done.returncode == 0
    assert "--count" in done.stdout


def lay_out(directory: Path, **files: str) -> None:
    """Writes a half that stands beside a copy of vaeserve; `serving__cli` is serving/cli.py."""
    shutil.copytree(ROOT / "vaeserve", directory / "vaeserve", ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in files.items():
        path = directory / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(content)


def run_among(directory: Path, verb: str) -> subprocess.CompletedProcess[str]:
    """Runs a verb where a directory's packages stand before the real ones."""
    return python(f"import sys; sys.path.insert(0, {str(directory)!r}); {RUN}", verb)


def test_missing_extra_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, serving__cli="import surely_not_installed\n")
    done = run_among(tmp_path, "serve")
    assert done.returncode == 1
    assert done.stderr.startswith("vae: `vae serve` needs surely_not_installed: install the extra serving: pip")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("present", [[], ["__init__.py"]])
def test_missing_half_is_named(tmp_path: Path, present: list[str]) -> None:
    shutil.copytree(ROOT / "vaeserve", tmp_path / "vaeserve")
    for name in present:
        (tmp_path / "training").mkdir()
        (tmp_path / "training" / name).touch()
    code = f"import sys; sys.path[:1] = [{str(tmp_path)!r}]; {RUN}"
    # -S: an editable install would bring the half that is missing.
    command = [sys.executable, "-S", "-c", code, "train"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    missing = "training.cli" if present else "training"
    assert done.returncode == 1
    assert done.stderr.startswith(f"vae: `vae train` needs {missing}: install the extras training,serving: pip")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["serve", "train"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_callers_own_file_or_folder_with_the_name_of_a_half_is_named_and_not_run(
    verb: str, kind: str, tmp_path: Path
) -> None:
    half = VERBS[verb].module.partition(".")[0]
    other = tmp_path / (f"{half}.py" if kind == "file" else half)
    content = other
    if kind == "folder":
        other.mkdir()
        content = other / "__init__.py"
    content.write_text("print('run')\n")
    command = [sys.executable, "-m", "vaeserve", verb, "x"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    hidden = f"hides the package {half}, which `vae {verb}` needs: rename the {kind}, or run `vae`\n"
    assert done.stderr == f"vae: {other}: {hidden}"


def test_a_callers_own_vae_py_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "vae.py").write_text("raise SystemExit(9)\n")
    for arguments in (["-m", "vaeserve", "serve", "--help"], ["-c", "from vaeserve import AsyncClient, Client"]):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=tmp_path, env=environment)


@pytest.mark.parametrize("missing", ["training.step.loop", "serving", "vaeserve.nothing"])
def test_a_half_that_lacks_a_module_of_ours_is_a_bug(tmp_path: Path, missing: str) -> None:
    lay_out(tmp_path, training__cli=f"raise ModuleNotFoundError('no such module', name={missing!r})\n")
    done = run_among(tmp_path, "train")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


@pytest.mark.parametrize("arguments", [["train", "digits", "--out", "run"], ["export", "run", "--out", "model"]])
def test_training_without_its_extras_asks_for_both(arguments: list[str]) -> None:
    code = f"import sys; sys.modules['onnxruntime'] = None; {RUN}"
    done = python(code, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("vae: no ONNX Runtime: install the extras training,serving")


def test_a_reader_that_left_is_no_error(package: ModelPackage) -> None:
    code = "import os, sys; os.close(0); from vaeserve.command.cli import main; main()"
    read, write = os.pipe()
    os.close(read)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code, "info", str(package.directory)],
        check=False,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("KeyboardInterrupt()", 130, "vae: interrupted\n"),
        ("__import__('vaeserve.errors').errors.StartupError('no port')", 1, "vae: no port\n"),
        ("SystemExit(2)", 2, ""),
    ],
)
def test_exit_codes(tmp_path: Path, raised: str, code: int, said: str) -> None:
    lay_out(tmp_path, training__cli=f"def train(arguments): raise {raised}\n")
    done = run_among(tmp_path, "train")
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(stream: str) -> None:
    number = {"stdout": 1, "stderr": 2}[stream]
    command = [sys.executable, "-c", "from vaeserve.command.cli import main; main()", "--help"]
    done = subprocess.run(["sh", "-c", f'exec "$@" {number}>&-', "sh", *command], check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 0


def test_a_full_disk_is_one_line() -> None:
    command = [sys.executable, "-c", "from vaeserve.command.cli import main; main()", "--help"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "vae: No space left on device\n")


def test_a_failure_without_a_number_is_one_line() -> None:
    failing = "def fail(_): raise OSError('no folder for caches')"
    done = python(f"import sys\nfrom vaeserve.command import info\n{failing}\ninfo.info = fail\n{RUN}", "info")
    assert (done.returncode, done.stderr) == (1, "vae: no folder for caches\n")


def test_an_argument_that_is_no_text_is_one_line() -> None:
    command = [
        *(part.encode() for part in (sys.executable, "-c", "from vaeserve.command.cli import main; main()", "info")),
        b"\xff",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (2, "vae: an argument is not valid UTF-8\n")


NOISY = """
import sys, types, warnings
from vaeserve.command import cli
noisy = types.ModuleType("noisy")
noisy.verb = lambda arguments: warnings.warn("of two\\nlines", RuntimeWarning) or 0
sys.modules["noisy"], cli.VERBS["verb"], sys.argv = noisy, cli.Verb("noisy", "", ""), ["vae", "verb"]
cli.main()
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["encode", "--input", "a\nb\x1b[2J.npy", "--out", "z.npz"], 1),
        (["sample", "--count", "1", "--out", "a\nb\x1b[2J.csv"], 1),
        (["info", "a\nb\x1b[2J"], 1),
        (["a\nb\x1b[2J"], 2),
        (["info", ".", "a\nb\x1b[2J"], 2),
        (["info", "--a\nb\x1b[2J"], 2),
    ],
)
def test_an_error_is_one_line_whatever_a_name_holds(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    said = capsys.readouterr().err
    assert r"a\nb\x1b[2J" in said
    assert said.removesuffix("\n").isprintable()


def test_a_warning_of_a_library_is_one_line_without_a_path() -> None:
    done = python(NOISY)
    assert (done.returncode, done.stderr) == (0, "vae: warning: of two lines\n")
