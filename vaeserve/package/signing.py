"""Signs packages, and verifies who signed them, in the format of OpenSSF's model-signing: its only doorway.

The signature is the file model.sig beside the manifest. It covers every other file of the directory.
"""

import re
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from model_signing import hashing, signing, verifying

from vaeserve.errors import InvalidInput, PackageError, innermost
from vaeserve.files import read_bytes, write
from vaeserve.package.directory import ModelPackage

SIGNATURE_FILE = "model.sig"

_PRIVATE_KEY = "is not a private key in PEM, without a password, of the curve P-256, P-384 or P-521"
_PUBLIC_KEY = "is not a public key in PEM of the curve P-256, P-384 or P-521"


def sign_package(directory: Path, key: Path, certificate: Path | None = None, chain: Sequence[Path] = ()) -> Path:
    """Signs a package, and replaces the signature that it has.

    Args:
        directory: of the package.
        key: private key in PEM.
        certificate: of the key, to sign with; None: whoever verifies needs the public key.
        chain: certificates between `certificate` and the root.

    Returns:
        The file of the signature.

    Raises:
        PackageError: a file is missing or altered, or is not a regular file.
        InvalidInput: a key or certificate cannot be read or does not fit, or the signature cannot be written.
    """
    check_plain(directory)
    ModelPackage.open(directory)
    config = signing.Config().set_hashing_config(_hashing())
    _configure(key, _PRIVATE_KEY, lambda: config.use_elliptic_key_signer(private_key=key))
    if certificate is not None:
        for path in chain:
            read_bytes(path)
        between = chain or [certificate]  # the library takes no empty list
        _configure(
            certificate,
            f"is not a certificate of {key} in PEM, or a file of its chain is none",
            lambda: config.use_certificate_signer(
                private_key=key, signing_certificate=certificate, certificate_chain=between
            ),
        )
    signature = directory / SIGNATURE_FILE
    with TemporaryDirectory() as aside:
        config.sign(directory, Path(aside) / SIGNATURE_FILE)
        content = (Path(aside) / SIGNATURE_FILE).read_bytes()
    write(signature, lambda file: file.write(content))
    return signature


def verify_package(directory: Path, *, key: Path | None = None, roots: Sequence[Path] = ()) -> ModelPackage:
    """Verifies the signature of a package, then opens the package: nothing else of it is read before.

    Args:
        directory: of the package.
        key: public key in PEM; None: it was signed with a certificate.
        roots: certificates that are trusted, if there is no key.

    Raises:
        PackageError: there is no signature, another key made it, a file was altered, added or removed, or is not a
            regular file, or it is not a package.
        InvalidInput: a key or certificate cannot be read.
    """
    check_plain(directory)
    signature = directory / SIGNATURE_FILE
    if not signature.is_file():
        raise PackageError(f"{directory}: is not signed: there is no {SIGNATURE_FILE}")
    config = verifying.Config().set_hashing_config(_hashing())
    if key is not None:
        _configure(key, _PUBLIC_KEY, lambda: config.use_elliptic_key_verifier(public_key=key))
    else:
        for place, path in enumerate(roots, 1):  # the library does not say which of many is wrong
            trust = partial(config.use_certificate_verifier, certificate_chain=roots[:place])
            _configure(path, "is not a certificate in PEM", trust)
    try:
        config.verify(directory, signature)
    except Exception as exc:  # whatever a made-up signature provokes, the package is not verified
        raise PackageError(f"{directory}: not verified: {_reason(exc)}") from exc
    return ModelPackage.open(directory)


def check_plain(directory: Path) -> None:
    """Makes sure that a package is a directory of regular files and directories. Links could lead to other files later.

    Raises:
        PackageError: it is not.
    """
    if directory.is_symlink():
        raise PackageError(f"{directory}: is a link: name the directory that it leads to, {directory.resolve()}")
    if not directory.is_dir():
        raise PackageError(f"{directory}: no such directory")
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a link" if stat.S_ISLNK(mode) else "not a regular file"
            raise PackageError(f"{path}: is {kind}: a package that is signed holds regular files alone")


def _hashing() -> hashing.Config:
    """Returns what is signed: every file but the signature, those of git too."""
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)


def _configure(path: Path, problem: str, use: Callable[[], object]) -> None:
    """Hands a key or certificate to the library, whose errors for a wrong one are of many types."""
    read_bytes(path)
    try:
        use()
    except Exception as exc:
        raise InvalidInput(str(path), problem) from exc


def _reason(error: Exception) -> str:
    """Returns in one line why a signature was not accepted."""
    if type(error).__name__ == "InvalidSignature" or str(error).startswith("Key mismatch"):
        return "another key made the signature"
    if type(error).__name__ == "X509StoreContextError":
        return f"its certificate is not trusted: {innermost(error)}"
    if str(error).startswith("Signature mismatch"):
        return "; ".join(_differences(str(error))) or "its files are not those that were signed"
    return f"{SIGNATURE_FILE} is not understood, or not signed as you say ({type(error).__name__}: {innermost(error)})"


def _differences(message: str) -> list[str]:
    """Returns which files differ from those that were signed. The library's own message is full of raw digests."""
    message = message.replace("\\'", "'")  # it is the text of a list, where quotes may be escaped
    lists = {
        "altered": ", ".join(re.findall(r"Hash mismatch for '(.+?)': Expected", message)),
        "added": ", ".join(re.findall(r"Extra files found in model '.*?': (.+?)[\"'](?:, |\])", message)),
        "missing": ", ".join(re.findall(r"Missing files in model '.*?': (.+?)[\"'](?:, |\])", message)),
    }
    return [f"{kind}: {names}" for kind, names in lists.items() if names]
