"""The verbs `vae sign` and `vae verify`: who made a package."""

from pathlib import Path

from vaeserve.command.parser import verb_parser


def sign(arguments: list[str]) -> int:
    """Signs a package."""
    parser = verb_parser(
        "sign",
        "Signs a model package in the format of OpenSSF's model-signing: writes model.sig beside its manifest.",
        "A key is made with: openssl ecparam -genkey -name prime256v1 -noout -out key.pem; "
        "openssl ec -in key.pem -pubout -out key.pub",
    )
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="directory of a model package")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="private key, without a password")
    parser.add_argument("--certificate", type=Path, metavar="CERT.pem", help="certificate of the key, to sign with")
    parser.add_argument(
        "--chain", type=Path, action="append", default=[], metavar="CERT.pem", help="one between it and the root"
    )
    options = parser.parse_args(arguments)
    if options.chain and options.certificate is None:
        parser.error("--chain needs --certificate")
    from vaeserve.package.signing import sign_package

    print(f"signed: {sign_package(options.package, options.key, options.certificate, options.chain)}")
    return 0


def verify(arguments: list[str]) -> int:
    """Verifies the signature of a package."""
    parser = verb_parser(
        "verify",
        "Verifies that a model package was signed with a key or certificate, and that no file was altered, added or "
        "removed. Exits with 1 if not.",
    )
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="directory of a model package")
    trusted = parser.add_mutually_exclusive_group(required=True)
    trusted.add_argument("--key", type=Path, metavar="KEY.pub", help="public key of whoever signed it")
    trusted.add_argument(
        "--root", type=Path, action="append", default=[], metavar="CERT.pem", help="certificate that is trusted"
    )
    options = parser.parse_args(arguments)
    from vaeserve.package.signing import verify_package

    manifest = verify_package(options.package, key=options.key, roots=options.root).manifest
    print(f"verified: {options.package} is {manifest.name}, version {manifest.version}, as it was signed")
    return 0
