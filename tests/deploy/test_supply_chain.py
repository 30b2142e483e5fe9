"""What the audit of the images refuses. It asks no index here: `make audit` does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy import audit
from tests.support.servers import ROOT

_LOCKS = sorted((ROOT / "deploy" / "requirements").glob("*.txt"))
_POLICY = tomllib.loads(audit.POLICY.read_text())


def _package(name: str = "some", **metadata: Any) -> dict[str, Any]:  # noqa: ANN401, what indexes say is of any type
    return {"name": name, **metadata}


@pytest.mark.parametrize(
    "metadata",
    [
        {"license_expression": "MIT"},
        {"license_expression": "Apache-2.0 OR GPL-3.0-only"},
        {"license_expression": "Apache-2.0 AND (BSD-2-Clause OR GPL-2.0-only)"},
        {"classifier": ["License :: OSI Approved", "License :: OSI Approved :: MIT License"], "license": "odd words"},
        {"license": "BSD-3-Clause\nand its whole text"},
    ],
)
def test_licences_of_the_policy_are_allowed(metadata: dict[str, Any]) -> None:
    assert audit.judge(_package(**metadata), _POLICY) == ""


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "some: its licence is not known: it names none"),
        ({"license": "as you like"}, "some: its licence is not known: ['as you like']"),
        ({"classifier": ["License :: Free for home use"], "license": "MIT"}, "is not known"),
        ({"license_expression": "GPL-3.0-only"}, "some: GPL-3.0-only is not allowed"),
        ({"license_expression": "MIT AND GPL-3.0-only"}, "is not allowed"),
        ({"license_expression": "MPL-2.0"}, "is not allowed"),
        ({"license_expression": "LicenseRef-NVIDIA-Proprietary"}, "is not allowed"),
    ],
)
def test_other_licences_and_unknown_ones_are_refused(metadata: dict[str, Any], said: str) -> None:
    assert said in audit.judge(_package(**metadata), _POLICY)


def test_an_exception_is_for_one_package_and_has_a_reason() -> None:
    assert audit.judge(_package("tqdm", license="MPL-2.0 AND MIT"), _POLICY) == ""
    assert audit.judge(_package("nvidia_cufft", classifier=["License :: Other/Proprietary License"]), _POLICY) == ""
    assert all(exception["reason"] for exception in _POLICY["packages"].values())


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_of_a_lock_is_audited(lock: Path) -> None:
    pins, pinned = audit.pins(lock), re.findall(r"^\S+==", lock.read_text(), re.MULTILINE)
    assert len(pins) == len(pinned) > 0
    assert not [pin for pin in pins if "+" in pin]


def test_what_is_shipped_has_a_lock() -> None:
    [shipped] = re.findall(r"^SHIPPED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {*shipped.split(), "build"} == {lock.stem for lock in _LOCKS}
