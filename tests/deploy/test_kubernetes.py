"""The manifests for Kubernetes are valid, locked down, and agree with the service and with batch jobs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.kubernetes.generate import HERE, build
from jobs import cli
from jobs.options import job_parser
from serving.settings import Settings, read_settings
from tests.support.manifests import Manifest, of, pods, validate
from tests.support.servers import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl builds the manifests")

_COMPONENTS = sorted(folder.name for folder in (HERE / "components").iterdir())
_LAYERS = {
    "base": ("base",),
    "gpu": ("overlays/gpu",),
    "monitoring": ("overlays/monitoring",),
    "batch": ("overlays/batch",),
    "kserve": ("kserve",),
    **{name: ("base", name) for name in _COMPONENTS},
    "all of it": ("overlays/monitoring", "tls", "tokens", "hpa"),
}
_SERVICES = sorted(_LAYERS.keys() - {"batch", "kserve"})


@pytest.fixture(scope="module")
def layers() -> dict[str, list[Manifest]]:
    return {name: build(*parts) for name, parts in _LAYERS.items()}


def _containers(pod: Manifest) -> list[Manifest]:
    return [*pod["containers"], *pod.get("initContainers", [])]


def _service(manifests: list[Manifest]) -> Manifest:
    container: Manifest = of(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def _variables(container: Manifest) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"]}


@pytest.mark.parametrize("layer", _LAYERS)
def test_manifests_are_valid(layers: dict[str, list[Manifest]], layer: str) -> None:
    assert validate(layers[layer]) >= 2


@pytest.mark.parametrize("layer", sorted(_LAYERS.keys() - {"kserve"}))
def test_every_pod_is_locked_down(layers: dict[str, list[Manifest]], layer: str) -> None:
    upload = yaml.safe_load((HERE / "upload.yaml").read_text())
    for pod in pods([*layers[layer], upload]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in _containers(pod):
            _is_locked_down(container["securityContext"])
            assert container["resources"]["limits"]["memory"], container["name"]
            assert ":" in container["image"], "an image without a tag is the latest"
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            assert mounts <= {volume["name"] for volume in pod["volumes"]}


def _is_locked_down(context: Manifest) -> None:
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("layer", _SERVICES)
def test_the_service_understands_its_variables_and_stops_in_time(
    layers: dict[str, list[Manifest]], layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = next(pods(layers[layer]))
    for name in [name for name in os.environ if name.startswith("VAE_")]:
        monkeypatch.delenv(name)
    variables = _variables(_service(layers[layer]))
    assert {name.removeprefix("VAE_").lower() for name in variables} <= Settings.model_fields.keys()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = read_settings({})
    assert settings.wait_for_package
    looks = _service(layers[layer])["readinessProbe"]
    assert settings.drain_seconds >= looks["periodSeconds"]
    assert settings.drain_seconds + settings.grace_seconds + 5 <= pod["terminationGracePeriodSeconds"]


def test_probes_ask_whether_it_is_alive_and_only_readiness_asks_more(layers: dict[str, list[Manifest]]) -> None:
    runtime = of(layers["kserve"], "ServingRuntime")["spec"]["containers"][0]
    for container in (_service(layers["base"]), _service(layers["gpu"]), runtime):
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {"port": 50051, "service": "liveness"}
        assert container["readinessProbe"]["grpc"] == {"port": 50051}
    secure = _service(layers["tls"])
    for probe, path in {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
        assert secure[probe]["httpGet"] == {"port": "metrics", "path": path}
        assert "grpc" not in secure[probe], "Kubernetes' gRPC probes do not speak TLS"


@pytest.mark.parametrize("layer", _SERVICES)
def test_every_selector_finds_the_pods(layers: dict[str, list[Manifest]], layer: str) -> None:
    labels = of(layers[layer], "Deployment")["spec"]["template"]["metadata"]["labels"]
    for manifest in layers[layer]:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector and manifest["kind"] != "PersistentVolumeClaim":
            assert selector.get("matchLabels", selector).items() <= labels.items(), manifest["kind"]
    for constraint in next(pods(layers[layer]))["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_ports_are_those_of_the_image(layers: dict[str, list[Manifest]]) -> None:
    image = (ROOT / "deploy" / "serving.Dockerfile").read_text()
    ports = {port["name"]: port["containerPort"] for port in _service(layers["base"])["ports"]}
    assert f"EXPOSE {ports['grpc']} {ports['metrics']}\n" in image
    service = of(layers["base"], "Service")["spec"]
    assert service["clusterIP"] == "None", "dns:/// finds every pod"
    assert {port["targetPort"] for port in service["ports"]} == ports.keys()
    monitor = of(layers["monitoring"], "ServiceMonitor")["spec"]
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} == {"metrics"}
    assert monitor["jobLabel"] in of(layers["base"], "Service")["metadata"]["labels"]


@pytest.mark.parametrize(("layer", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_an_autoscaler_alone_decides_how_many_there_are(
    layers: dict[str, list[Manifest]], layer: str, kind: str
) -> None:
    deployment = of(layers[layer], "Deployment")
    assert "replicas" not in deployment["spec"]
    assert of(layers[layer], kind)["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_both_autoscalers_look_at_the_same_time_in_the_queue(layers: dict[str, list[Manifest]]) -> None:
    rule = yaml.safe_load((HERE / "components" / "hpa" / "adapter-rules.yaml").read_text())["rules"]["custom"][0]
    metric = of(layers["hpa"], "HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]
    assert metric["metric"]["name"] == rule["name"]["as"]
    trigger = of(layers["keda"], "ScaledObject")["spec"]["triggers"][0]["metadata"]
    assert float(metric["target"]["averageValue"].removesuffix("m")) / 1000 == float(trigger["threshold"])
    documented = (ROOT / "docs" / "operations.md").read_text()
    for query in (rule["seriesQuery"], rule["metricsQuery"], trigger["query"]):
        for name in set(re.findall(r"vae_\w+", query)):
            row = re.search(rf"^\| .*`{re.sub('_(sum|count)$', '', name)}`.*$", documented, re.MULTILINE)
            assert row is not None, name
            assert "`class`" in row[0]


def test_the_job_knows_its_shards_and_the_exit_codes(layers: dict[str, list[Manifest]]) -> None:
    spec = of(layers["batch"], "Job")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    verb, *arguments = container["args"]
    options = job_parser().parse_args([word.replace("$(JOB_COMPLETION_INDEX)", "0") for word in arguments])
    assert (verb, options.verb) == ("job", "encode")
    assert f"$(JOB_COMPLETION_INDEX)/{spec['completions']}" in arguments
    assert spec["completionMode"] == "Indexed"
    rules = {
        code: rule["action"]
        for rule in spec["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert rules == {cli._TERMINATED: "Ignore", 2: "FailJob", cli._TOO_MANY_ERRORS: "FailJob"}
    assert all(rule["onExitCodes"]["containerName"] == "job" for rule in spec["podFailurePolicy"]["rules"][1:])


def test_kserve_finds_the_runtime_and_its_port(layers: dict[str, list[Manifest]]) -> None:
    runtime, service = (of(layers["kserve"], kind) for kind in ("ServingRuntime", "InferenceService"))
    container = runtime["spec"]["containers"][0]
    assert container["name"] == "kserve-container"
    assert [port["name"] for port in container["ports"]] == ["h2c"]
    assert "runAsUser" not in container["securityContext"], "KServe chooses the user"
    _is_locked_down(container["securityContext"])
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    formats = [{key: known[key] for key in ("name", "version")} for known in runtime["spec"]["supportedModelFormats"]]
    assert model["modelFormat"] in formats
    assert _variables(container)["VAE_PACKAGE"] == "/mnt/models"


def test_a_package_is_copied_from_a_store_as_a_whole_or_not_at_all(
    layers: dict[str, list[Manifest]], tmp_path: Path, tiny: Path
) -> None:
    if not shutil.which("rclone"):
        pytest.skip("rclone copies the package")
    copy = next(pods(layers["package-store"]))["initContainers"][0]
    assert _variables(copy)["TARGET"].startswith(_variables(_service(layers["package-store"]))["VAE_PACKAGE"])
    target = tmp_path / "models" / "digits"
    (target.parent / ".digits").mkdir(parents=True)
    (target.parent / ".digits" / "half").write_bytes(b"of an interrupted copy")

    def run(source: Path) -> subprocess.CompletedProcess[str]:
        variables = os.environ | _variables(copy) | {"SOURCE": str(source), "TARGET": str(target)}
        return subprocess.run(copy["command"], check=False, env=variables, capture_output=True, text=True, timeout=60)

    (tmp_path / "empty").mkdir()
    nothing = run(tmp_path / "empty")
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines()[-1].endswith("has no package")
    assert not target.exists()
    assert run(tiny).returncode == 0
    assert {path.name for path in target.iterdir()} == {path.name for path in tiny.iterdir()}
    assert not (target.parent / ".digits").exists()
    assert run(tmp_path / "gone").returncode == 0, "what is there already is not copied again"
