"""The dashboard, the alerts, what the page says of them, and the metrics of a real server that they read."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import ROOT, StartServer
from vaeserve import Client
from vaeserve.errors import CallError

MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = MONITORING / "alerts.yml"
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "vaeserve.json").read_text())
PAGE = (ROOT / "docs" / "deployment.md").read_text()

OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"}}
"""Series that Prometheus makes itself, and their labels."""
OF_EVERY_TARGET = {"job", "instance"}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in _rules())
    yield from (target["expr"] for panel in _panels() for target in panel["targets"])
    yield from (annotation["expr"] for annotation in DASHBOARD["annotations"]["list"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield re.sub(r"^label_values\((.*), (\w+)\)$", r"sum by (\2) (\1)", variable["query"]["query"])


class Reading(NamedTuple):
    """What an expression reads."""

    metrics: dict[str, set[str]]
    """By the metric's name: the labels that it is selected by."""
    grouped: set[str]
    """The labels by which it groups."""

    @classmethod
    def of(cls, expression: str) -> "Reading":
        metrics: dict[str, set[str]] = {}
        for name, _, selector in re.findall(r"\b((?:vae|process|python)_\w+|up|ALERTS)\b({([^}]*)})?", expression):
            metrics.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))
        by = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expression)
        return cls(metrics, {label.strip() for labels in by for label in labels.split(",")} - {""})


@pytest.fixture
def live(start_server: StartServer, port: str, tmp_path: Path) -> dict[str, set[str]]:
    """The metrics of a server that answered and refused calls, each with the names of its labels."""
    (tmp_path / "tokens").write_text("good\n")
    server = start_server("--metrics-port", port, "--token-file", str(tmp_path / "tokens"))
    with Client(server.target, token="good") as client:
        client.sample(1)
    with Client(server.target, token="bad") as client, pytest.raises(CallError):
        client.get_model()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    names: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        names.setdefault(sample.name, set()).update(sample.labels)
    return names


def test_what_is_read_is_what_a_server_publishes(live: dict[str, set[str]]) -> None:
    for expression in _expressions():
        reading, known = Reading.of(expression), live | OF_PROMETHEUS
        assert reading.metrics, expression
        for name, labels in reading.metrics.items():
            assert name in known, expression
            assert labels <= known[name] | OF_EVERY_TARGET, expression
        everything = set().union(*(known[name] for name in reading.metrics))
        assert reading.grouped <= everything | OF_EVERY_TARGET, expression


def test_every_metric_of_the_service_is_on_the_dashboard(live: dict[str, set[str]]) -> None:
    shown = {name for panel in _panels() for target in panel["targets"] for name in Reading.of(target["expr"]).metrics}
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    published = {re.sub(r"_(bucket|sum|count)$", "", name) for name in live if name.startswith("vae_")}
    assert published - stems == set()


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_its_paragraph_and_its_thresholds_agree(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/deployment.md#{name.lower()}"
    assert re.search(rf"^#### {name}\n\n\S", PAGE, re.MULTILINE)
    [(severity, when, time)] = re.findall(
        rf"^\| \[{name}\]\(#{name.lower()}\) \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE
    )
    assert severity == rule["labels"]["severity"]
    assert time == rule.get("for", "at once")
    for comparison in re.findall(r"(?:>|==) ([\d.]+)", rule["expr"]):
        value = float(comparison)
        spelled = [f"{value:g}", f"{100 * value:g} %", *(["any "] if not value else [])]
        assert any(re.search(rf"\b{re.escape(one)}", when) for one in spelled), (comparison, when)
    for minutes in re.findall(r"increase\([^)]*\[(\d+)m\]\)", rule["expr"]):
        assert f"in the last {minutes} minutes" in when


def test_the_page_tells_of_no_other_alert_and_every_alert_has_a_test() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert re.findall(r"^#### (Vae\w+)$", PAGE, re.MULTILINE) == names
    tests = yaml.safe_load((MONITORING / "alerts.test.yml").read_text())["tests"]
    assert list(dict.fromkeys(test["name"] for test in tests)) == names


@pytest.mark.parametrize(
    "arguments", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts.test.yml"]
)
def test_promtool_finds_no_fault(arguments: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here; it comes with Prometheus")
    done = subprocess.run([promtool, *arguments.split()], check=False, capture_output=True, text=True, cwd=MONITORING)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_provisioned() -> None:
    assert (DASHBOARD["id"], DASHBOARD["uid"], DASHBOARD["editable"]) == (None, "vaeserve", False)
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert variables == ["datasource", "instance", "model", "version"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", _panels(), ids=lambda panel: str(panel["title"]))
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z].*\.", panel["description"])
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        used = set(re.findall(r"\$(?!__)(\w+)", target["expr"]))
        assert used <= {"instance", "model", "version"}
    if panel["type"] != "table":
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_a_threshold_on_the_dashboard_is_that_of_the_alert() -> None:
    drawn = {
        panel["title"]: max(step["value"] or 0 for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"])
        for panel in _panels()
    }
    fires = {rule["alert"]: float(re.findall(r"(?:>|==) ([\d.]+)", rule["expr"])[-1]) for rule in _rules()}
    assert drawn["Queue time, interactive calls"] == fires["VaeQueueSlow"]
    assert drawn["Event loop"] == fires["VaeLoopStalled"]
    assert drawn["Memory for callers"] == drawn["Memory held for callers"] == fires["VaeMemoryHeld"]
