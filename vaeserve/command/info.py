"""The verb `vae info`: describes a model package, or what a server serves."""

import argparse
import json
from pathlib import Path

from vaeserve.command.options import add_connection_options, connect
from vaeserve.command.parser import verb_parser
from vaeserve.errors import PackageError


def info(arguments: list[str]) -> int:
    """Describes a model package or what a server serves."""
    options = _info_options(arguments)
    from vaeserve.command.descriptions import models_text, package_text

    if options.package is not None:
        from vaeserve.package.directory import ModelPackage

        if not options.package.exists():
            raise PackageError(f"{options.package}: no such directory; a server is named with --target HOST:PORT")
        package = ModelPackage.open(options.package)
        print(package.manifest.to_json().rstrip() if options.json else package_text(package))
        return 0
    with connect(options) as client:
        models = client.list_models()
    listing = json.dumps({"models": [model.model_dump(mode="json") for model in models]}, indent=2)
    print(listing if options.json else models_text(models, options.target))
    return 0


def _info_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser(
        "info",
        "Describes the models that a server serves, or a model package on disk, whose checksums it verifies.",
    )
    parser.add_argument(
        "package",
        type=Path,
        nargs="?",
        metavar="PACKAGE",
        help="directory of a model package; without it a server is asked",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_connection_options(parser)
    return parser.parse_args(arguments)
