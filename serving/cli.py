"""The verb `vae serve`."""

import argparse
import gc
import io
import logging
import os
import signal
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from vaeserve.command.parser import verb_parser
from vaeserve.command.setting_flags import add_setting_flag
from vaeserve.errors import VaeError
from vaeserve.machine.collector import collector_paused

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_log = logging.getLogger(__name__)

_METAVARS: dict[object, str] = {
    Path: "DIR",
    Path | None: "FILE",
}  # otherwise the last word of the setting's name, its unit


def serve(arguments: list[str]) -> int:
    """Serves model packages until SIGTERM or SIGINT.

    Raises:
        StartupError: a setting is wrong, or the port or the provider is not available.
        PackageError: there is no package that can be served.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until the event loop handles them
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if not _wants_json(arguments):
        _serve(_parse(arguments))
        return 0
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            flags = _parse(arguments)
        _serve(flags)
    except ModuleNotFoundError:
        raise  # the command says what to install
    except SystemExit as exc:
        return _fail_in_json(errors.getvalue().strip(), 2) if exc.code else 0
    except Exception as exc:
        return _fail_in_json(str(exc), 1, None if isinstance(exc, VaeError) else exc)
    return 0


def _serve(flags: dict[str, str]) -> None:
    with collector_paused():
        from serving.settings import misspelt, read_settings

    settings = read_settings(flags)
    with collector_paused():
        import uvloop

        from serving.app import run
        from serving.telemetry.logs import set_up_logs

    gc.freeze()  # modules stay: the collection at the end of the start need not go through them
    set_up_logs(settings.log_level, settings.log_format)
    for line in misspelt(os.environ):
        _log.warning(line)
    uvloop.run(run(settings))  # a turn of asyncio's own loop costs more; benchmarks/README.md


def _wants_json(arguments: list[str]) -> bool:
    """Whether the log is to be JSON; it can be told even if other arguments are wrong."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--log-format", default=os.environ.get("VAE_LOG_FORMAT"))
    try:
        return parser.parse_known_args(arguments)[0].log_format == "json"  # type: ignore[no-any-return]
    except argparse.ArgumentError:
        return False


def _fail_in_json(message: str, code: int, error: Exception | None = None) -> int:
    """Logs what ends the process, and returns its exit code."""
    from serving.telemetry.logs import set_up_logs

    set_up_logs("critical", "json")  # has no effect if the log is set up already
    _log.critical(message.removeprefix("vae: "), exc_info=error)
    return code


def _parse(arguments: list[str]) -> dict[str, str]:
    """Returns the settings that the command line sets; its flags are made from the settings."""
    with collector_paused():
        from serving.settings import GROUPS, Settings

    parser = verb_parser(
        "serve",
        "Serves model packages over gRPC.",
        "Every setting is also an environment variable: --batch-rows is VAE_BATCH_ROWS. A flag wins.",
    )
    parser.usage = "vae serve [OPTION ...] [PACKAGE]"
    parser.add_argument("package", nargs="?", metavar="PACKAGE", help=Settings.model_fields["package"].description)
    group: argparse._ActionsContainer = parser
    for name, field in Settings.model_fields.items():
        group = parser.add_argument_group(GROUPS[name]) if name in GROUPS else group
        if name != "package":
            _add_flag(group, name, field)
    flags = {name: str(value) for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if "package" not in flags and "VAE_PACKAGE" not in os.environ:
        parser.error("no PACKAGE, and VAE_PACKAGE is not set")
    return flags


def _add_flag(group: argparse._ActionsContainer, name: str, field: "FieldInfo") -> None:
    default = field.get_default(call_default_factory=True)
    default = f"{default:g}" if isinstance(default, float) else default
    is_off = default is None or default is False or default == ""
    text = (field.description or "") if is_off else f"{field.description} (default: {default})"
    add_setting_flag(group, name, field, text, metavar=_METAVARS.get(field.annotation, ""))
