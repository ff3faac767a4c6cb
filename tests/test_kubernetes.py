"""Kubernetes manifests: rendered, valid by the newest schemas, hardened, and true to the service that they start."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Service
from databases import missing
from manifest import OPTIONS, PRESETS, owners, settings, tree_files
from matrix import few, some
from running import required_settings, run, serving, set_up
from test_readme import blocks

#: The first is that of make quick.
OVERLAYS = ["production", "staging"]
#: Beside the presets, a server of another kind, and the longest name.
CASES = [*({"preset": preset} for preset in PRESETS), {"sql": "mysql", "project_slug": "n" * 50}]
Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    service: Service
    overlay: str
    objects: list[Object]

    def of(self, kind: str) -> list[Object]:
        return [resource for resource in self.objects if resource["kind"] == kind]

    def one(self, kind: str) -> Object:
        """The only one, or that of the web process."""
        component = "app.kubernetes.io/component"
        found = self.of(kind)
        (one,) = found if len(found) == 1 else [it for it in found if it["metadata"]["labels"][component] == "web"]
        return one

    @property
    def templates(self) -> list[Object]:
        """What the Deployments and the Jobs make pods of, that of the web process first."""
        web = self.one("Deployment")
        others = [resource for resource in [*self.of("Deployment"), *self.of("Job")] if resource != web]
        return [resource["spec"]["template"] for resource in [web, *others]]

    @property
    def web(self) -> Object:
        (container,) = self.one("Deployment")["spec"]["template"]["spec"]["containers"]
        return dict(container)


def kustomize(folder: Path) -> str:
    if not shutil.which("kubectl"):
        missing("kubectl 1.30 or newer", "https://kubernetes.io/docs/tasks/tools/")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "a warning"
    return done.stdout


@pytest.fixture(scope="module")
def render(bake: Callable[..., Service]) -> Callable[..., Rendered]:
    made: dict[tuple[Path, str], Rendered] = {}

    def render(overlay: str = "production", **answers: str) -> Rendered:
        service = bake(container="yes", kubernetes="yes", **answers)
        key = (service.path, overlay)
        if key not in made:
            text = kustomize(service.path / "kubernetes/overlays" / overlay)
            made[key] = Rendered(service, overlay, list(yaml.safe_load_all(text)))
        return made[key]

    return render


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case.values()))
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return dict(request.param)


@pytest.fixture(params=OVERLAYS)
def rendered(answers: dict[str, str], request: pytest.FixtureRequest, render: Callable[..., Rendered]) -> Rendered:
    return render(request.param, **answers)


def validate(objects: list[Object], folder: Path) -> str:
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    return run(folder, "kubernetes-validate", "--strict", "objects.yaml")


@pytest.mark.parametrize("rendered", few(OVERLAYS, 1), indirect=True)
def test_objects_are_valid(rendered: Rendered, tmp_path: Path) -> None:
    """By the schemas of the newest Kubernetes that the validator has; it has none for those of Prometheus."""
    known = [it for it in rendered.objects if not it["apiVersion"].startswith("monitoring.coreos.com/")]
    assert validate(known, tmp_path).count("passed for resource") == len(known)
    for resource in rendered.objects:
        assert resource["metadata"]["namespace"] == f"{rendered.service.answers['project_slug']}-{rendered.overlay}"
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", resource["metadata"]["name"])


def test_the_validator_can_refuse(render: Callable[..., Rendered], tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(render(sql="none").one("Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"] = {"seconds": "ten"}
    with pytest.raises(AssertionError, match="seconds"):
        validate([wrong], tmp_path)


def test_yaml_is_tidy(answers: dict[str, str], bake: Callable[..., Service]) -> None:
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 120}}}"
    run(bake(container="yes", kubernetes="yes", **answers).path, "yamllint", "--strict", "-d", rules, "kubernetes")


def test_objects_are_those_of_the_chosen_options(rendered: Rendered) -> None:
    kinds = sorted(resource["kind"] for resource in rendered.objects)
    expected = ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service"]
    expected += ["ServiceMonitor"] * ("metrics" in rendered.service.chosen)
    expected += ["Job"] * ("sqlalchemy" in rendered.service.chosen)
    processes = [process for name in rendered.service.chosen for process in OPTIONS[name].get("processes", [])]
    expected += ["Deployment"] * len(processes)
    expected += ["PodDisruptionBudget", "HorizontalPodAutoscaler"] * ("worker" in processes)
    expected += ["PodMonitor"] * (bool(processes) and "metrics" in rendered.service.chosen)
    assert kinds == sorted(expected)


def test_resources_are_files() -> None:
    """What an option names is there, and belongs to it and to Kubernetes."""
    files = {path for path in tree_files() if path.startswith("kubernetes/base/")}
    named = {
        f"kubernetes/base/{file}": {name, *file.removesuffix(".yaml").split("/")} & OPTIONS.keys()
        for name in OPTIONS
        for file in OPTIONS[name].get("resources", [])
    }
    assert named.keys() <= files
    assert {path: owners(path) - {"kubernetes"} for path in files if owners(path) != {"kubernetes"}} == named


def test_pods_are_restricted(rendered: Rendered) -> None:
    """As the profile "restricted" asks for: https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    assert rendered.templates
    for template in rendered.templates:
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert [volume.keys() for volume in pod["volumes"]] == [{"name", "emptyDir"}]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_pods_run_the_image(rendered: Rendered) -> None:
    """As its user, and by the program that it starts: an entry point would be replaced by a command."""
    dockerfile = rendered.service.read("Dockerfile")
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", dockerfile, re.MULTILINE)
    assert user
    assert entry
    program = json.loads(entry[1])
    for template in rendered.templates:
        security = template["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user[1]), int(user[2]))
        (container,) = template["spec"]["containers"]
        command = container["command"]
        commands = container["args"][0].splitlines() if command == ["sh", "-ec"] else [" ".join(command)]
        assert all(line.split()[:3] == program for line in commands)


def test_a_stop_fits_the_grace_period(rendered: Rendered) -> None:
    pod = rendered.one("Deployment")["spec"]["template"]["spec"]
    drain = rendered.web["lifecycle"]["preStop"]["sleep"]["seconds"]
    stop = int(rendered.one("ConfigMap")["data"]["STOP_TIMEOUT"])
    # Endpoints are removed while preStop runs; the worst of that is a readiness probe that has just begun.
    assert drain >= rendered.web["readinessProbe"]["periodSeconds"]
    assert drain + stop + 5 <= pod["terminationGracePeriodSeconds"]


def test_selectors_find_the_web_pods_alone(rendered: Rendered) -> None:
    """What prepares a release gets no requests, and is no replica."""
    (web, *jobs) = (template["metadata"]["labels"] for template in rendered.templates)

    def finds(selector: dict[str, str], labels: dict[str, str]) -> bool:
        return selector.items() <= labels.items()

    selectors = [
        rendered.one("Service")["spec"]["selector"],
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in rendered.one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert len(selectors) == 5
    for selector in selectors:
        assert finds(selector, web)
        assert not any(finds(selector, labels) for labels in jobs)
    # The network's rules are for both.
    policy = rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(finds(policy, labels) for labels in (web, *jobs))


def test_scaling(rendered: Rendered) -> None:
    deployments = {it["metadata"]["name"]: it["spec"] for it in rendered.of("Deployment")}
    for scaler in rendered.of("HorizontalPodAutoscaler"):
        assert scaler["spec"]["minReplicas"] == {"staging": 1, "production": 2}[rendered.overlay]
        # Both would set it, in turns.
        assert "replicas" not in deployments.pop(scaler["spec"]["scaleTargetRef"]["name"])
    assert not [name for name in deployments if not name.endswith("-scheduler")]
    # A drain of nodes is never blocked for good, and never takes all pods.
    assert rendered.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_network(rendered: Rendered) -> None:
    policy = rendered.one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"port": "http"}]}]
    names, *servers = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    chosen = rendered.service.chosen
    expected = [port for name in OPTIONS if name in chosen for port in OPTIONS[name].get("egress", [])]
    assert [port["port"] for rule in servers for port in rule["ports"]] == expected


def test_secrets_are_references(rendered: Rendered) -> None:
    """To one Secret, which is nowhere in the repository, and is made as the README says."""
    required = {name for name, setting in settings(rendered.service.chosen).items() if "required" in setting}
    slug = rendered.service.answers["project_slug"]
    assert {"secretRef": {"name": slug}} in rendered.web["envFrom"]
    for job in rendered.of("Job"):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        references = {variable["name"]: variable["valueFrom"]["secretKeyRef"] for variable in container["env"]}
        assert references == {name: {"name": slug, "key": name} for name in required}
    assert not rendered.of("Secret")
    assert not required & rendered.one("ConfigMap")["data"].keys()
    (made,) = (block for block in blocks(rendered.service.read("README.md")) if "create secret" in block)
    assert set(re.findall(r"--from-literal=(\w+)=", made)) == required
    assert f"create secret generic {slug} " in made


def test_the_job_of_a_release(render: Callable[..., Rendered], tmp_path: Path) -> None:
    """It is another for each tag, because none can be changed; and no change but a tag changes it."""
    first = render(preset="full")
    shutil.copytree(first.service.path / "kubernetes", tmp_path / "kubernetes")
    path = tmp_path / "kubernetes/overlays/production/kustomization.yaml"

    def job() -> Object:
        objects = yaml.safe_load_all(kustomize(path.parent))
        return next(resource for resource in objects if resource["kind"] == "Job")

    assert job() == first.one("Job")
    assert first.one("Job")["metadata"]["name"] == f"{first.service.answers['project_slug']}-0.1.0"
    path.write_text(path.read_text().replace("LOG_LEVEL=info", "LOG_LEVEL=warning"))
    assert job() == first.one("Job")
    path.write_text(path.read_text().replace("registry.example.com/", "registry.example.com:5000/team/"))
    assert job()["metadata"] == first.one("Job")["metadata"]
    path.write_text(path.read_text().replace("newTag: 0.1.0", "newTag: 0.2.0"))
    assert job()["metadata"]["name"].endswith("-0.2.0")
    assert job()["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":0.2.0")
    assert first.one("Job")["spec"]["ttlSecondsAfterFinished"] <= 86400


def test_a_change_of_settings_restarts_the_pods(render: Callable[..., Rendered]) -> None:
    """Because their ConfigMap has another name then."""
    names = set()
    for overlay in OVERLAYS:
        rendered = render(overlay, preset="full")
        source = rendered.web["envFrom"][0]
        assert source["configMapRef"]["name"] == rendered.one("ConfigMap")["metadata"]["name"]
        names.add(source["configMapRef"]["name"])
    assert len(names) == 2


def test_prometheus_finds_the_metrics(render: Callable[..., Rendered]) -> None:
    """Checked by hand, against the documented fields: https://prometheus-operator.dev/docs/api-reference/api/"""
    rendered = render(preset="full")
    monitor, service = rendered.one("ServiceMonitor"), rendered.one("Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint == {
        "port": "http",
        "path": "/metrics",
        "authorization": {
            "type": "Bearer",
            "credentials": {"name": rendered.service.answers["project_slug"], "key": "METRICS_TOKEN"},
        },
    }


def test_prometheus_finds_workers_and_schedulers(render: Callable[..., Rendered]) -> None:
    """At the port that they are told, which the network allows, and under the name of the web pods."""
    rendered = render(jobs="celery_redis", metrics="yes")
    (monitor,), policy = rendered.of("PodMonitor"), rendered.one("NetworkPolicy")["spec"]
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint | {"authorization": {}} == {"port": "http", "path": "/metrics", "authorization": {}}
    assert endpoint["authorization"] == rendered.one("ServiceMonitor")["spec"]["endpoints"][0]["authorization"]
    (expression,) = monitor["spec"]["selector"]["matchExpressions"]
    assert {"port": endpoint["port"]} in policy["ingress"][0]["ports"]
    _, *others = rendered.templates
    assert {it["metadata"]["labels"]["app.kubernetes.io/component"] for it in others} == set(expression["values"])
    for template in others:
        (container,) = template["spec"]["containers"]
        (port,) = container["ports"]
        assert port["name"] == endpoint["port"]
        assert {"name": "METRICS_PORT", "value": str(port["containerPort"])} in container["env"]


def test_workers_without_metrics_have_no_port(render: Callable[..., Rendered]) -> None:
    rendered = render(jobs="celery_redis")
    assert not rendered.of("PodMonitor")
    for template in rendered.templates[1:]:
        (container,) = template["spec"]["containers"]
        assert "ports" not in container
        assert [variable["name"] for variable in container["env"]] == ["JOB_HEALTH_FILE"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", some(PRESETS, "minimal", "full"))
def test_the_service_answers_its_probes(preset: str, render: Callable[..., Rendered], tmp_path: Path) -> None:
    """Started by the commands of the manifests, with their settings, behind a list of trusted hosts."""
    rendered = render(preset=preset)
    folder = rendered.service.path
    set_up(folder)
    settings = required_settings(folder) | rendered.one("ConfigMap")["data"]
    settings |= {"TRUSTED_HOSTS": "127.0.0.1"}
    del settings["PORT"]  # A free one.
    web = rendered.web
    for job in rendered.of("Job"):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        run(
            folder,
            *container["command"],
            *container["args"],
            **settings,
            PATH=f"{folder}/.venv/bin:{os.environ['PATH']}",
        )
    with serving(folder, tmp_path / "log", [".venv/bin/python", *web["command"][1:]], **settings) as server:
        server.await_ready()
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = web[name]["httpGet"]
            assert probe["port"] == "http"
            assert server.get(probe["path"], Host="10.0.0.1")[0] == 200
        assert server.get("/", Host="10.0.0.1")[0] == 400
    assert server.process.returncode == 0
