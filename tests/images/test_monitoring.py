"""Prometheus and Grafana of the profile `monitoring`, on the live service."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.containers import Deployment, docker
from tests.support.load import Load
from tests.support.servers import ROOT, until

_DASHBOARD = ROOT / "deploy" / "monitoring" / "grafana" / "dashboards" / "vaeserve.json"


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return dict(json.load(reply))


def _up(deployment: Deployment, service: str) -> None:
    services = json.loads(deployment.compose("--profile", "*", "config", "--format", "json").stdout)["services"]
    image = services[service]["image"]
    if docker("image", "inspect", image, check=False).returncode and docker("pull", image, check=False).returncode:
        pytest.skip(f"{image} cannot be had here")
    deployment.compose("--profile", "monitoring", "up", "--detach", "--no-deps", service)


@pytest.fixture(scope="module")
def prometheus(deployment: Deployment) -> Iterator[str]:
    """The address of Prometheus, once it has scraped the service twice under load."""
    _up(deployment, "prometheus")
    url = f"http://127.0.0.1:{deployment.environment['VAESERVE_PROMETHEUS_PORT']}"
    with Load(deployment.target):
        until(lambda: _answers(url))
        until(lambda: _query(url, "count_over_time(vae_calls_in_flight[5m]) > 3"), seconds=180)
        yield url


def _answers(url: str) -> bool:
    try:
        return bool(_query(url, "up == 1"))
    except OSError:
        return False


def _query(url: str, expression: str) -> list[Any]:
    reply = _get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return list(reply["data"]["result"])


def test_every_panel_has_a_query_that_answers(prometheus: str, figures: list[str]) -> None:
    expressions = list(_expressions(json.loads(_DASHBOARD.read_text())["panels"]))
    empty = [expression for expression in expressions if not _query(prometheus, expression)]
    figures.append(f"dashboard: {len(expressions) - len(empty)} of {len(expressions)} queries have live series")
    assert expressions
    assert not empty


def _expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from _expressions(panel.get("panels", []))
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$__range", "5m")
            yield re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", expression)


def test_the_rules_are_loaded_and_none_fires(prometheus: str) -> None:
    groups = _get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def test_grafana_has_the_dashboard(deployment: Deployment, prometheus: str) -> None:
    _up(deployment, "grafana")
    uid = json.loads(_DASHBOARD.read_text())["uid"]
    url = f"http://127.0.0.1:{deployment.environment['VAESERVE_GRAFANA_PORT']}/api/dashboards/uid/{uid}"

    def find() -> dict[str, Any]:
        try:
            return _get(url)
        except OSError:
            return {}

    assert until(find)["dashboard"]["uid"] == uid
