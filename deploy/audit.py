"""Audits the locked requirements of the images: `make audit` runs it. Needs pip 23.1 or later, and pip-audit beside it.

    audit.py LOCK...

It fails if a package's licence is not known or not allowed by licences.toml, if a package has a known vulnerability, or
if nobody answered whether it has.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

POLICY = Path(__file__).with_name("licences.toml")


def main(locks: list[Path]) -> int:
    """Audits every lock, and returns 1 if anything was found."""
    policy = tomllib.loads(POLICY.read_text())
    problems = 0
    for lock in locks:
        packages = _described(lock)
        unfit = [text for package in packages if (text := judge(package, policy))]
        print(f"{lock.stem}: licences of {len(packages)} packages, {len(unfit)} not allowed", *unfit, sep="\n  ")
        for name in sorted(_names(packages) & policy["packages"].keys()):
            print(f"  allowed for {name} alone: {policy['packages'][name]['reason']}")
        problems += len(unfit)
    for lock in locks:
        print(f"{lock.stem}: vulnerabilities", flush=True)
        problems += not _is_free_of_vulnerabilities(lock)
    return min(problems, 1)


def pins(lock: Path) -> list[str]:
    """Returns what a lock pins, without local versions such as 2.13.0+cpu: advisories do not know them."""
    pinned = re.findall(r"^([\w.-]+)==([^\s;+]+)", lock.read_text(), re.MULTILINE)
    return [f"{name}=={version}" for name, version in pinned]


def judge(metadata: dict[str, Any], policy: dict[str, Any]) -> str:
    """Returns what is wrong with a package's licence, or nothing."""
    name, licence = metadata["name"], licence_of(metadata, policy["words"])
    if licence is None:
        return f"{name}: its licence is not known: {_words_of(metadata) or 'it names none'}"
    allowed = {*policy["allowed"], *policy["packages"].get(_plain(name), {}).get("licences", [])}
    refused = [term for term in licence.split(" AND ") if not allowed & set(term.strip("()").split(" OR "))]
    return f"{name}: {licence} is not allowed" if refused else ""


def licence_of(metadata: dict[str, Any], words: dict[str, str]) -> str | None:
    """Returns a package's licence as an SPDX expression; None: it is not known."""
    if metadata.get("license_expression"):
        return str(metadata["license_expression"])
    said = _words_of(metadata)
    terms = [words.get(word) for word in said]
    return " AND ".join(dict.fromkeys(term for term in terms if term)) if said and all(terms) else None


def _names(packages: list[dict[str, Any]]) -> set[str]:
    return {_plain(package["name"]) for package in packages}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _words_of(metadata: dict[str, Any]) -> list[str]:
    """Returns a package's own words: its classifiers, or else the first line of its licence."""
    classifiers = [
        text.removeprefix("License :: ")
        for text in metadata.get("classifier", [])
        if text.startswith("License :: ") and text != "License :: OSI Approved"
    ]
    return classifiers or (metadata.get("license") or "").strip().splitlines()[:1]


def _described(lock: Path) -> list[dict[str, Any]]:
    """Returns the metadata of a lock's packages, as the package index has it. Nothing is installed."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        flags = ("--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--require-hashes", "--no-cache-dir")
        command = [sys.executable, "-m", "pip", "install", *flags, "--report", str(report), "--requirement", str(lock)]
        subprocess.run(command, check=True)
        return [one["metadata"] for one in json.loads(report.read_text())["install"]]


def _is_free_of_vulnerabilities(lock: Path) -> bool:
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "pins.txt"
        plain.write_text("\n".join(pins(lock)) + "\n")
        # Without --strict, a package that the service does not answer for counts as free of vulnerabilities.
        flags = ("--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--requirement", str(plain))
        return subprocess.run([sys.executable, "-m", "pip_audit", *flags], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
