"""The verbs `vae evaluate`, `vae compare` and `vae sweep`.

Only the standard library and configuration are imported at the top, so `--help` does not wait for PyTorch.
"""

import argparse
import json
from math import inf
from pathlib import Path

from training.run.interrupts import sigterm_interrupts
from training.settings.flags import add_flags, add_settings, settings_of
from training.settings.source import Source
from vaeserve.command.parser import path_text, verb_parser
from vaeserve.errors import TrainingError
from vaeserve.machine.collector import collector_paused
from vaeserve.runtime import prepare_onnxruntime


def evaluate(arguments: list[str]) -> int:
    """Runs `vae evaluate`.

    Returns:
        0 when the figures were printed; exits with 2 on a usage error.

    Raises:
        TrainingError: the pair or its data is missing, the data does not fit the pair, or a flag has no effect.
        PackageError: the package is damaged.
        StartupError: there is not exactly one ONNX Runtime.
    """
    options = _evaluate_parser().parse_args(arguments)
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.evaluate.report import evaluation_table
        from training.run.publish import evaluation_rows_of
        from training.run.work import Stages
        from training.study.subject import Subject, validation_rows_of

    subject = Subject.find(options.path)
    for key in ("rows", "samples"):
        if getattr(options, key) is not None and not subject.has_nll:
            raise TrainingError(
                f"--{key}: has no effect: without a posterior and a likelihood, -log p(x) cannot be estimated"
            )
    changes = {key: value for key in Source.model_fields if (value := getattr(options, key)) is not None}
    dataset = subject.load(changes)
    budget = subject.budget._replace(
        **{key: value for key in ("rows", "samples", "threads") if (value := getattr(options, key)) is not None}
    )
    rows = validation_rows_of(dataset) if options.validation else evaluation_rows_of(dataset)
    evaluation = subject.measure(rows, budget, Stages())
    file = None if options.validation or changes.keys() - {"data_dir"} else subject.keep(evaluation)
    if options.json:
        print(evaluation.to_json(), end="")
    else:
        print(evaluation_table(evaluation))
        print(
            f"written to {file}" if file else "not written: only the evaluation of a run on its own test rows is kept"
        )
    return 0


def compare(arguments: list[str]) -> int:
    """Runs `vae compare`.

    Returns:
        0 when the table was printed; exits with 2 on a usage error.

    Raises:
        TrainingError: a pair is missing, or has no evaluation and cannot be evaluated; or no learning curve is there.
        PackageError: a package is damaged.
        StartupError: there is not exactly one ONNX Runtime.
    """
    options = _compare_parser().parse_args(arguments)
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.evaluate.comparison import comparison, comparison_markdown
        from training.run.work import Stages
        from training.study.curves import epoch_text, write_curves
        from training.study.subject import Subject

    subjects = [Subject.find(path) for path in options.paths]
    names = [subject.name for subject in subjects]
    named = [
        (name if names.count(name) == 1 else str(subject.directory), subject.evaluation(Stages))
        for name, subject in zip(names, subjects, strict=True)
    ]
    if options.curves:
        write_curves(options.curves, [(name, subject) for (name, _), subject in zip(named, subjects, strict=True)])
    epochs = [subject.epochs for subject in subjects]
    if options.json:
        figures = {
            name: {"exported_epoch": exported, "epochs_done": done, **evaluation.model_dump()}
            for (name, evaluation), (exported, done) in zip(named, epochs, strict=True)
        }
        print(json.dumps(figures, indent=2))
    else:
        texts = [epoch_text(*each) for each in epochs]
        print((comparison_markdown if options.markdown else comparison)(named, texts).rstrip("\n"))
    return 0


def sweep(arguments: list[str]) -> int:
    """Runs `vae sweep`.

    Returns:
        0 when every run is done, 130 when interrupted; exits with 2 on a usage error.

    Raises:
        TrainingError: a run failed, or exists with other settings.
        StartupError: there is not exactly one ONNX Runtime.
    """
    parser = _sweep_parser()
    options = parser.parse_args(arguments)
    settings = settings_of(parser, options)
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.run.progress import say
        from training.study.sweep import PICTURE_FILE, sweep_table, train_sweep, write_figures

    with sigterm_interrupts():
        try:
            points = train_sweep(settings.config, settings.required, options.betas, options.out, given=settings.given)
        except KeyboardInterrupt:
            say("vae: interrupted; run the same command to continue")
            return 130
    write_figures(options.out, points)
    print(f"{sweep_table(points)}\n\npicture  {options.out / PICTURE_FILE}")
    return 0


def _evaluate_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "evaluate",
        "Measures how good a model is: how probable held-out rows are, whether nearby latents decode to similar "
        "outputs, and whether draws from its priors decode to plausible data. It measures the "
        "served graphs, in ONNX Runtime on the CPU.",
        "The evaluation of a run on its own test rows replaces evaluation.json in the run's directory. Choose settings "
        "on --validation rows, and look at the test rows once.",
    )
    parser.add_argument("path", type=Path, metavar="RUN_OR_PACKAGE", help="directory of a run, or of a model package")
    parser.add_argument(
        "--data", dest="dataset", type=path_text, metavar="DATA", help="data to measure on (default: as in training)"
    )
    add_flags(parser, Source.model_fields, default="as in training")
    parser.add_argument("--validation", action="store_true", help="measure on validation rows instead of test rows")
    parser.add_argument(
        "--rows", type=_count, metavar="N", help="held-out rows for -log p(x) (default: as in the run, or 1000)"
    )
    parser.add_argument(
        "--samples", type=_count, metavar="K", help="importance samples for each row (default: as in the run, or 500)"
    )
    parser.add_argument(
        "--threads", type=_count, metavar="N", help="CPU threads for each operation (default: as in the run, or 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _compare_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "compare",
        "Shows models side by side and marks the best values. Runs without an evaluation are evaluated first.",
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="RUN", help="directory of a run, or of a model package")
    parser.add_argument(
        "--curves", type=Path, metavar="FILE.png", help="write a picture of the runs' learning curves to this file"
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return parser


def _sweep_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "sweep",
        "Trains one run for each beta and draws their curve of rate and distortion.",
        "DIR receives one run for each beta, rate_distortion.png and rate_distortion.json. To continue an interrupted "
        "sweep, run the same command again.",
    )
    parser.usage = "vae sweep DATA --beta B,B,.. --out DIR [--preset P] [--config FILE.toml] [setting ...]"
    add_settings(parser, without=("beta",))
    parser.add_argument(
        "--beta",
        dest="betas",
        type=_betas,
        required=True,
        metavar="B,B,..",
        help="weights of the KL, separated by commas",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the runs")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _betas(text: str) -> list[float]:
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = [-1.0]
    if not all(0 <= value < inf for value in values):
        raise argparse.ArgumentTypeError(f"must be numbers of 0 or more, separated by commas, not {text!r}")
    return values
