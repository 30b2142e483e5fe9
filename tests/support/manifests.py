"""Manifests of Kubernetes: what is in them, and whether they are valid."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

Manifest = dict[str, Any]

_KUBERNETES = "1.35"  # the first that has volumes from images without a feature gate
_CUSTOM = {"ScaledObject", "ServiceMonitor", "PrometheusRule", "ServingRuntime", "InferenceService"}


def of(manifests: list[Manifest], kind: str) -> Manifest:
    return next(manifest for manifest in manifests if manifest["kind"] == kind)


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            yield manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "Pod":
            yield manifest["spec"]


def validate(manifests: list[Manifest]) -> int:
    if not importlib.util.find_spec("kubernetes_validate"):
        pytest.skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    kubernetes_validate = importlib.import_module("kubernetes_validate")
    for manifest in manifests:
        if manifest["kind"] not in _CUSTOM:
            kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)
    return len(manifests)
