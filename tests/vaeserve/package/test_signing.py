import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.commands import Streams, refused
from vaeserve.command.cli import run
from vaeserve.package.directory import ModelPackage

for _library in ("OpenSSL", "model_signing"):
    pytest.importorskip(_library, reason="signing is not installed: `make sign-test` installs it")

_THEIRS = (sys.executable, "-m", "model_signing")


class _Keys(NamedTuple):
    """A key and its public half."""

    private: Path
    public: Path


def _make_keys(folder: Path, name: str, password: bytes | None = None) -> _Keys:
    key = ec.generate_private_key(ec.SECP256R1())
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    keys = _Keys(folder / f"{name}.pem", folder / f"{name}.pub")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    keys.private.write_bytes(key.private_bytes(pem, pkcs8, lock))
    keys.public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return keys


@pytest.fixture
def keys(tmp_path: Path) -> _Keys:
    return _make_keys(tmp_path, "key")


@pytest.fixture
def signed(package: ModelPackage, keys: _Keys) -> Path:
    assert run(["sign", str(package.directory), "--key", str(keys.private)]) == 0
    return package.directory


def _theirs(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_THEIRS, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_signed_package_is_verified_and_opens(signed: Path, keys: _Keys, capsys: Streams) -> None:
    capsys.readouterr()
    assert run(["verify", str(signed), "--key", str(keys.public)]) == 0
    assert capsys.readouterr().out == f"verified: {signed} is digits, version 1, as it was signed\n"
    ModelPackage.open(signed)


def test_a_package_may_be_moved_and_signed_again(signed: Path, keys: _Keys, tmp_path: Path) -> None:
    moved = signed.rename(tmp_path / "moved")
    assert run(["verify", str(moved), "--key", str(keys.public)]) == 0
    others = _make_keys(tmp_path, "others")
    assert run(["sign", str(moved), "--key", str(others.private)]) == 0
    assert run(["verify", str(moved), "--key", str(others.public)]) == 0


def test_their_command_verifies_our_signature(signed: Path, keys: _Keys) -> None:
    signature = ("--signature", signed / "model.sig", "--public_key", keys.public)
    assert _theirs("verify", "key", signed, *signature).returncode == 0
    (signed / "decoder.onnx").write_bytes(b"other")
    assert _theirs("verify", "key", signed, *signature).returncode == 1


def test_we_verify_the_signature_of_their_command(package: ModelPackage, keys: _Keys, capsys: Streams) -> None:
    place, signature = package.directory, package.directory / "model.sig"
    assert _theirs("sign", "key", place, "--signature", signature, "--private_key", keys.private).returncode == 0
    assert run(["verify", str(place), "--key", str(keys.public)]) == 0
    (place / "decoder.onnx").write_bytes(b"other")
    capsys.readouterr()
    assert "not verified: altered: decoder.onnx" in refused(["verify", str(place), "--key", str(keys.public)], capsys)


def test_a_certificate_signs_for_us_and_for_them(package: ModelPackage, tmp_path: Path, capsys: Streams) -> None:
    root, other, leaf = tmp_path / "root.pem", tmp_path / "other.pem", tmp_path / "leaf.pem"
    authority = trustme.CA()
    issued = authority.issue_cert("models.example")
    authority.cert_pem.write_to_path(str(root))
    trustme.CA().cert_pem.write_to_path(str(other))
    issued.cert_chain_pems[0].write_to_path(str(leaf))
    key = tmp_path / "leaf.key"
    issued.private_key_pem.write_to_path(str(key))
    place = package.directory
    assert run(["sign", str(place), "--key", str(key), "--certificate", str(leaf)]) == 0
    assert run(["verify", str(place), "--root", str(root)]) == 0
    signature = ("--signature", place / "model.sig")
    assert _theirs("verify", "certificate", place, *signature, "--certificate_chain", root).returncode == 0
    capsys.readouterr()
    assert "its certificate is not trusted" in refused(["verify", str(place), "--root", str(other)], capsys)
    wrong = _make_keys(tmp_path, "wrong").private
    said = refused(["sign", str(place), "--key", str(wrong), "--certificate", str(leaf)], capsys)
    assert said.startswith(f"vae: {leaf}: is not a certificate of {wrong}")


def test_the_wrong_one_of_two_roots_is_named(signed: Path, tmp_path: Path, capsys: Streams) -> None:
    root, wrong = tmp_path / "root.pem", tmp_path / "wrong.pem"
    trustme.CA().cert_pem.write_to_path(str(root))
    wrong.write_text("-----BEGIN CERTIFICATE-----\nwrong\n-----END CERTIFICATE-----\n")
    capsys.readouterr()
    said = refused(["verify", str(signed), "--root", str(root), "--root", str(wrong)], capsys)
    assert said.startswith(f"vae: {wrong}: is not a certificate in PEM")


def _alter(place: Path) -> None:
    (place / "encoder.onnx").write_bytes(b"other")


def _alter_manifest(place: Path) -> None:
    (place / "manifest.json").write_text((place / "manifest.json").read_text() + "\n")


def _add(place: Path) -> None:
    (place / "more.txt").write_text("more")


def _add_of_git(place: Path) -> None:
    (place / ".gitattributes").write_text("more")


def _remove(place: Path) -> None:
    (place / "probes.npz").unlink()


def _link(place: Path) -> None:
    (place / "encoder.onnx").rename(place.parent / "elsewhere")
    (place / "encoder.onnx").symlink_to(place.parent / "elsewhere")


def _pipe(place: Path) -> None:
    os.mkfifo(place / "pipe")


def _unsign(place: Path) -> None:
    (place / "model.sig").unlink()


def _garble(place: Path) -> None:
    (place / "model.sig").write_text('{"verificationMaterial": {}}')


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (_alter, "not verified: altered: encoder.onnx"),
        (_alter_manifest, "not verified: altered: manifest.json"),
        (_add, "not verified: added: more.txt"),
        (_add_of_git, "not verified: added: .gitattributes"),
        (_remove, "not verified: missing: probes.npz"),
        (_link, "encoder.onnx: is a link"),
        (_pipe, "pipe: is not a regular file"),
        (_unsign, "is not signed: there is no model.sig"),
        (_garble, "model.sig is not understood"),
    ],
)
def test_what_was_tampered_with_is_refused_in_one_line(
    signed: Path, keys: _Keys, capsys: Streams, attack: Callable[[Path], None], said: str
) -> None:
    capsys.readouterr()
    place = signed.rename(signed.with_name("digits"))
    attack(place)
    assert said in refused(["verify", str(place), "--key", str(keys.public)], capsys)


def test_another_key_is_refused(signed: Path, tmp_path: Path, capsys: Streams) -> None:
    capsys.readouterr()
    others = _make_keys(tmp_path, "others")
    assert "another key made the signature" in refused(["verify", str(signed), "--key", str(others.public)], capsys)


def test_a_signature_of_another_package_is_refused(signed: Path, keys: _Keys, tmp_path: Path, capsys: Streams) -> None:
    other = Path(shutil.copytree(signed, tmp_path / "copy"))
    (other / "decoder.onnx").write_bytes(b"other")
    capsys.readouterr()
    assert "altered: decoder.onnx" in refused(["verify", str(other), "--key", str(keys.public)], capsys)


def test_a_link_to_a_package_is_refused(signed: Path, keys: _Keys, tmp_path: Path, capsys: Streams) -> None:
    link = tmp_path / "link"
    link.symlink_to(signed)
    capsys.readouterr()
    assert "is a link: name the directory" in refused(["verify", str(link), "--key", str(keys.public)], capsys)
    assert "is a link: name the directory" in refused(["sign", str(link), "--key", str(keys.private)], capsys)


def test_a_damaged_package_is_not_signed(package: ModelPackage, keys: _Keys, capsys: Streams) -> None:
    (package.directory / "decoder.onnx").write_bytes(b"other")
    assert "wrong checksum" in refused(["sign", str(package.directory), "--key", str(keys.private)], capsys)
    assert not (package.directory / "model.sig").exists()


def test_keys_that_cannot_sign_are_named(package: ModelPackage, tmp_path: Path, capsys: Streams) -> None:
    locked = _make_keys(tmp_path, "locked", b"password").private
    other_kind, absent = tmp_path / "rsa.pem", tmp_path / "absent.pem"
    pem, pkcs8, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    other_kind.write_bytes(rsa.generate_private_key(65537, 2048).private_bytes(pem, pkcs8, plain))
    for key in (locked, other_kind, _make_keys(tmp_path, "half").public):
        said = refused(["sign", str(package.directory), "--key", str(key)], capsys)
        assert said.startswith(f"vae: {key}: is not a private key in PEM, without a password")
    assert "cannot be read" in refused(["sign", str(package.directory), "--key", str(absent)], capsys)


def test_a_chain_needs_its_certificate(package: ModelPackage, keys: _Keys, capsys: Streams) -> None:
    arguments = ["sign", str(package.directory), "--key", str(keys.private), "--chain", "some.pem"]
    assert "--chain needs --certificate" in refused(arguments, capsys, 2)
