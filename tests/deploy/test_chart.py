"""The Helm chart makes what the manifests for Kubernetes say."""

import importlib
import importlib.util
import re
import shutil
import tomllib

import pytest
import yaml

from deploy.kubernetes.generate import HERE, build, rules, templates
from tests.support.manifests import Manifest, pods, validate
from tests.support.servers import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl builds the manifests")


def test_what_is_made_from_other_files_is_up_to_date() -> None:
    assert (HERE / "overlays" / "monitoring" / "rules.yaml").read_text() == rules(), "run `make manifests`"
    made = {path.name: path.read_text() for path in (HERE / "chart" / "templates").iterdir()}
    assert made == templates(), "run `make manifests`"


def test_the_chart_has_the_versions_and_values_of_the_manifests() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((HERE / "chart" / "Chart.yaml").read_text())
    values = yaml.safe_load((HERE / "chart" / "values.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    container = next(pods(build("base")))["containers"][0]
    assert container["image"] == f"vaeserve:{version}"
    assert values["resources"] == container["resources"]
    deployment = next(manifest for manifest in build("base") if manifest["kind"] == "Deployment")
    assert values["rollingUpdate"] == deployment["spec"]["strategy"]["rollingUpdate"]
    assert values["settings"] | {"VAE_PACKAGE": "/models"} == {item["name"]: item["value"] for item in container["env"]}


def _rendered(values: Manifest) -> list[Manifest]:
    if not importlib.util.find_spec("helm_python"):
        pytest.skip("Helm is not installed (pip install helm-python-sdk)")
    chart = importlib.import_module("helm_python").Chart.load(HERE / "chart")
    texts = chart.render(values, name="vaeserve", namespace="default").values()
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


_TLS = {"tls": {"secret": "vaeserve-tls"}}
_TOKENS = {"tokens": {"secret": "vaeserve-tokens"}}
_WATCHED = {"monitoring": {"enabled": True}, "autoscaling": {"enabled": True}}
_PAGE = (ROOT / "docs" / "deployment.md").read_text()
_GPU = yaml.safe_load(_PAGE.partition("### Helm")[2].split("```")[1].removeprefix("yaml"))
_IMAGE = {"packages": {"image": "registry.example.com/digits:1"}}


@pytest.mark.parametrize(
    ("layer", "values"),
    [
        (("base",), {}),
        (("base", "tls"), _TLS),
        (("base", "tokens"), _TOKENS),
        (("base", "package-image"), _IMAGE),
        (("overlays/gpu",), _GPU | {"image": {"repository": "vaeserve-gpu"}}),
        (("overlays/monitoring", "tls", "tokens", "hpa"), _TLS | _TOKENS | _WATCHED),
    ],
)
def test_the_chart_makes_the_same_manifests(layer: tuple[str, ...], values: Manifest) -> None:
    rendered = _rendered(values)
    validate(rendered)
    assert _comparable(rendered) == _comparable(build(*layer))


def _comparable(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Leaves out what a release adds, and the order of variables and volumes."""
    for manifest in manifests:
        manifest["metadata"].pop("annotations", None)
        for pod in pods([manifest]):
            for unordered in (pod["containers"][0]["env"], pod["containers"][0]["volumeMounts"], pod["volumes"]):
                unordered.sort(key=lambda item: item["name"])
            pod.setdefault("tolerations", [])
    text = yaml.safe_dump({manifest["kind"]: manifest for manifest in manifests})
    without = re.sub(r"^ *app\.kubernetes\.io/instance: vaeserve\n", "", text, flags=re.MULTILINE)
    return dict(yaml.safe_load(without))


def test_two_releases_of_the_chart_do_not_share_pods() -> None:
    rendered = _rendered(_WATCHED)
    for manifest in rendered:
        selector = manifest.get("spec", {}).get("podSelector") or manifest.get("spec", {}).get("selector")
        if selector:
            assert "app.kubernetes.io/instance" in selector.get("matchLabels", selector), manifest["kind"]
