"""Makes the alerts for the Prometheus Operator, and the templates of the Helm chart. `make manifests` runs it.

The manifests in base/ and components/ are the source. A template is such a manifest with expressions in place of some
values, and with `if` and `end` around what a component adds. Needs kubectl.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
_ALERTS = HERE.parent / "monitoring" / "alerts.yml"
_NAME = "app.kubernetes.io/name"
_RELEASE = "<= .Release.Name =>"
_CLAIM = '<= .Values.packages.claim | default (printf "%s-models" .Release.Name) =>'
_FILES = {
    "ServiceAccount": ("serviceaccount", ""),
    "PersistentVolumeClaim": ("volume", "not (or .Values.packages.claim .Values.packages.image)"),
    "Deployment": ("deployment", ""),
    "Service": ("service", ""),
    "PodDisruptionBudget": ("disruption", ""),
    "NetworkPolicy": ("network", ""),
    "HorizontalPodAutoscaler": ("autoscaler", ".Values.autoscaling.enabled"),
    "ServiceMonitor": ("monitor", ".Values.monitoring.enabled"),
    "PrometheusRule": ("rules", ".Values.monitoring.enabled"),
}
"""Each kind's template, and what must be set for it."""

Manifest = dict[str, Any]


def main() -> None:
    """Writes both."""
    (HERE / "overlays" / "monitoring" / "rules.yaml").write_text(rules())
    for name, text in templates().items():
        (HERE / "chart" / "templates" / name).write_text(text)


def rules() -> str:
    """Returns the alerts of deploy/monitoring as a PrometheusRule."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "vaeserve", "labels": {_NAME: "vaeserve"}},
        "spec": {"groups": yaml.safe_load(_ALERTS.read_text())["groups"]},
    }
    return "# Made from deploy/monitoring/alerts.yml by `make manifests`.\n" + _dump(manifest)


def templates() -> dict[str, str]:
    """Returns the chart's templates by file name."""
    manifests = _by_kind(build("overlays/monitoring", "hpa"))
    plain = _by_kind(build("base"))["Deployment"]
    parts = {
        "tls": _by_kind(build("base", "tls"))["Deployment"],
        "tokens": _by_kind(build("base", "tokens"))["Deployment"],
        "image": _by_kind(build("base", "package-image"))["Deployment"],
    }
    manifests["Deployment"] = _deployment(plain, parts)
    _set_values(manifests)
    return {f"{file}.yaml": _template(manifests[kind], condition) for kind, (file, condition) in _FILES.items()}


def build(folder: str, *components: str) -> list[Manifest]:
    """Returns the manifests of a folder with components, as kustomize makes them."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".build-") as scratch:
        layer = {"resources": [f"../{folder}"], "components": [f"../components/{name}" for name in components]}
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(layer))
        done = subprocess.run(["kubectl", "kustomize", scratch], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def _by_kind(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    return {manifest["kind"]: manifest for manifest in manifests}


def _deployment(plain: Manifest, parts: dict[str, Manifest]) -> Manifest:
    """Returns the Deployment with what TLS, tokens and an image of packages change between `if` and `end`."""
    pod, container = _pod(plain), _pod(plain)["containers"][0]
    for part in ("tls", "tokens"):
        changed = _pod(parts[part])
        for new, old in ((changed, pod), (changed["containers"][0], container)):
            for key in {"volumes", "env", "volumeMounts"} & new.keys():
                added = [item for item in new[key] if item not in old[key]]
                if added:
                    old[key] += [_mark(f"if .Values.{part}.secret"), *added, _mark("end")]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        secure = _pod(parts["tls"])["containers"][0][probe]["httpGet"]
        _choose(container[probe], ".Values.tls.secret", ("httpGet", secure), "grpc")
    models = next(volume for volume in pod["volumes"] if isinstance(volume, dict) and volume["name"] == "models")
    image = next(volume for volume in _pod(parts["image"])["volumes"] if volume["name"] == "models")["image"]
    _choose(
        models,
        ".Values.packages.image",
        ("image", image | {"reference": "<= .Values.packages.image =>"}),
        "persistentVolumeClaim",
    )
    return plain


def _pod(manifest: Manifest) -> Manifest:
    pod: Manifest = manifest["spec"]["template"]["spec"]
    return pod


def _choose(mapping: Manifest, condition: str, first: tuple[str, Any], other: str) -> None:
    """Replaces the key `other` of a mapping by one of two keys."""
    value = mapping.pop(other)
    mapping |= {
        _mark(f"if {condition}"): None,
        first[0]: first[1],
        _mark("else"): None,
        other: value,
        _mark("end"): None,
    }


def _mark(words: str) -> str:
    return f"<- {words} ->"


def _set_values(manifests: dict[str, Manifest]) -> None:
    for manifest in manifests.values():
        _name(manifest)
        manifest["metadata"]["name"] = _RELEASE
    manifests["PersistentVolumeClaim"]["metadata"] |= {
        "name": "<= .Release.Name =>-models",
        "annotations": {"helm.sh/resource-policy": "keep"},
    }
    manifests["PersistentVolumeClaim"]["spec"]["resources"]["requests"]["storage"] = "<= .Values.packages.size =>"
    source = manifests["NetworkPolicy"]["spec"]["ingress"][1]["from"][0]["namespaceSelector"]["matchLabels"]
    source["kubernetes.io/metadata.name"] = "<= .Values.monitoring.namespace =>"
    autoscaler = manifests["HorizontalPodAutoscaler"]["spec"]
    autoscaler["scaleTargetRef"]["name"] = _RELEASE
    autoscaler |= {key: f"<= .Values.autoscaling.{key} =>" for key in ("minReplicas", "maxReplicas")}
    autoscaler["metrics"][0]["pods"]["target"]["averageValue"] = "<= .Values.autoscaling.queueSeconds =>"
    _set_pod_values(manifests["Deployment"])


def _set_pod_values(deployment: Manifest) -> None:
    spec = deployment["spec"]
    del spec["replicas"]
    spec["strategy"]["rollingUpdate"] = "<yaml .Values.rollingUpdate yaml>"
    spec |= {
        _mark("if not .Values.autoscaling.enabled"): None,
        "replicas": "<= .Values.replicas =>",
        _mark("end"): None,
    }
    pod = _pod(deployment)
    pod["serviceAccountName"] = _RELEASE
    pod["terminationGracePeriodSeconds"] = "<= .Values.terminationGracePeriodSeconds =>"
    pod["tolerations"] = "<yaml .Values.tolerations yaml>"
    settings = yaml.safe_load((HERE / "chart" / "values.yaml").read_text())["settings"]
    container = pod["containers"][0]
    container["image"] = "<= .Values.image.repository =>:<= .Values.image.tag | default .Chart.AppVersion =>"
    container["resources"] = "<yaml .Values.resources yaml>"
    container["env"] = [item for item in container["env"] if isinstance(item, str) or item["name"] not in settings] + [
        _mark("range $name, $value := .Values.settings"),
        {"name": "<= $name =>", "value": "<= $value | quote =>"},
        _mark("end"),
    ]
    for volume in pod["volumes"]:
        if isinstance(volume, dict) and "secret" in volume:
            volume["secret"]["secretName"] = f"<= .Values.{volume['name']}.secret =>"
        elif isinstance(volume, dict):
            volume["persistentVolumeClaim"]["claimName"] = _CLAIM


def _name(value: object) -> None:
    """Adds the release to all labels and selectors, so that two releases do not take each other's pods."""
    if isinstance(value, dict):
        if value.get(_NAME) == "vaeserve":
            value["app.kubernetes.io/instance"] = _RELEASE
        for inner in value.values():
            _name(inner)
    elif isinstance(value, list):
        for inner in value:
            _name(inner)


def _template(manifest: Manifest, condition: str) -> str:
    text = re.sub(r"\{\{|\}\}", lambda found: f'{{{{ "{found[0]}" }}}}', _dump(manifest))
    text = re.sub(r"^ *(?:- )?'?<- (.*) ->'?(?:: null)?$", r"{{- \1 }}", text, flags=re.MULTILINE)
    text = re.sub(r"^( *)(.*): <yaml (\S+) yaml>$", _inserted, text, flags=re.MULTILINE)
    text = re.sub(r"'?<= (.*?) =>'?", r"{{ \1 }}", text)
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text


def _inserted(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}:\n{found[1]}  {{{{- toYaml {found[3]} | nindent {len(found[1]) + 2} }}}}"


def _dump(manifest: Manifest) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, width=10**6)


if __name__ == "__main__":
    main()
