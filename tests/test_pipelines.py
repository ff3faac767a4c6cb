"""What CI runs: pipelines that do the same on either host, whose steps are executed here, and the audit in them."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from conftest import Service, generate
from containers import Image, buildah_command, make_base, missing_programs
from databases import SERVERS, missing, need, private
from manifest import MANIFEST, OPTIONS, PRESETS, TREE
from matrix import few
from owned import Owned
from running import clean_environment, free_port, run
from servers import private as private_store
from servers.rabbitmq import control
from test_databases import with_driver
from updates import copy_template

FILES = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}
#: The commits that these versions are, looked up in what many public repositories pin.
ACTIONS = {
    "actions/cache": "0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0",
    "actions/checkout": "08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0",
    "actions/setup-python": "e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0",
}
YAMLLINT = """
extends: default
rules:
  comments: {min-spaces-from-content: 1}
  document-start: disable
  line-length: {max: 120}
  truthy: {check-keys: false}
"""
#: A version of Flask of which there are advisories, by which the audit sees that it is answered.
KNOWN = ("flask", "0.12.2")

CASES = [
    *({"preset": preset} for preset in reversed(PRESETS)),  # ``full`` is that of make quick.
    {"sql": "mysql"},
    {"sql": "sqlite", "container": "yes"},
    {"jobs": "celery_rabbitmq"},
]


@pytest.fixture(params=FILES)
def ci(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case.values()))
def service(ci: str, request: pytest.FixtureRequest, render: Callable[..., Service]) -> Service:
    return render(**request.param, ci=ci)


def gathered(service: Service, field: str) -> list[Any]:
    """What the chosen options say in a field that is a list, in their order."""
    return [item for name in OPTIONS if name in service.chosen for item in OPTIONS[name].get(field, [])]


def jobs(service: Service, ci: str) -> dict[str, dict[str, Any]]:
    """The jobs of a pipeline, by the make targets that are their scripts."""
    pipeline = yaml.safe_load(service.read(FILES[ci]))
    found = pipeline["jobs"].values() if ci == "github" else [job for job in pipeline.values() if "script" in job]
    return {" && ".join(script(job)).removeprefix("make "): job for job in found}


def script(job: dict[str, Any]) -> list[str]:
    """The commands of a job, of either host."""
    return job.get("script") or [step["run"] for step in job["steps"] if "run" in step]


# --- as they are written ---


@pytest.mark.parametrize("service", few(CASES, 1), indirect=True, ids=lambda case: "-".join(case.values()))
def test_files_are_valid(ci: str, service: Service, tmp_path: Path) -> None:
    """By the schemas of their hosts, and for linters."""
    schemas = {
        ".github/workflows/ci.yml": "github-workflows",
        ".github/dependabot.yml": "dependabot",
        ".gitlab-ci.yml": "gitlab-ci",
        "renovate.json": "renovate",
    }
    found = [path for path in schemas if path in service.files]
    assert len(found) == 2
    for path in found:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(service.read(path))
        run(tmp_path, "check-jsonschema", "--builtin-schema", f"vendor.{schemas[path]}", path)
    run(tmp_path, "yamllint", "--strict", "-d", YAMLLINT, *(path for path in found if path.endswith(".yml")))
    if ci == "github":
        assert "No findings to report" in run(tmp_path, "zizmor", "--offline", "--no-progress", ".github")


def test_a_job_that_is_called_like_a_keyword_is_found(render: Callable[..., Service], tmp_path: Path) -> None:
    """The schemas can tell right from wrong."""
    wrong = render(preset="full", ci="gitlab").read(FILES["gitlab"]).replace("make image:", "image:")
    (tmp_path / "wrong.yml").write_text(wrong)
    with pytest.raises(AssertionError, match="image"):
        run(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "wrong.yml")


def test_jobs_are_targets_of_make(ci: str, service: Service) -> None:
    """``make check``, and whatever the chosen options add; each is a target, and nothing else is run."""
    found = jobs(service, ci)
    assert list(found) == ["check", *(job["target"] for job in gathered(service, "pipeline"))]
    makefiles = [service.read(path) for path in service.files if path == "Makefile" or path.startswith("make/")]
    for target in found:
        assert re.search(rf"^{target}:.* ## ", "\n".join(makefiles), re.MULTILINE), target


@pytest.mark.parametrize("version", MANIFEST["_answers"]["python_version"])
def test_every_python_from_the_chosen_one_on(ci: str, version: str, render: Callable[..., Service]) -> None:
    check = jobs(render(ci=ci, python_version=version), ci)["check"]
    matrix = check["strategy"]["matrix"]["python"] if ci == "github" else check["parallel"]["matrix"][0]["VERSION"]
    versions = sorted(MANIFEST["_answers"]["python_version"])
    assert matrix == versions[versions.index(version) :]


def test_servers_of_the_chosen_options(ci: str, service: Service) -> None:
    """With the variable that tells the tests where each is."""
    check = jobs(service, ci)["check"]
    expected = {
        name: OPTIONS[name]["service"] for name in OPTIONS if name in service.chosen and "service" in OPTIONS[name]
    }
    github = ci == "github"
    ports = {name: (github and server.get("published")) or server["port"] for name, server in expected.items()}
    if github:
        images = {name: server["image"] for name, server in check.get("services", {}).items()}
        variables, hosts = check.get("env", {}), dict.fromkeys(images, "127.0.0.1")
        for name, server in expected.items():
            published = server.get("published", server["port"])
            assert check["services"][name.replace("_", "-")]["ports"] == [f"{published}:{server['port']}"]
        # A machine has each port once.
        assert len({server["ports"][0] for server in check.get("services", {}).values()}) == len(expected)
    else:
        images = {server["alias"]: server["name"] for server in check.get("services", [])}
        variables, hosts = check.get("variables", {}), {name: name for name in images}
    assert images == {name.replace("_", "-"): server["image"] for name, server in expected.items()}
    assert variables == {
        variable: url.replace("HOST", hosts[name.replace("_", "-")]).replace("PORT", str(ports[name]))
        for name, server in expected.items()
        for variable, url in server["tests"].items()
    }


def test_least_privilege_pinned_and_cached(render: Callable[..., Service]) -> None:
    text = render(preset="full", ci="github").read(FILES["github"])
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert all(job["permissions"] == {"contents": "read"} for job in workflow["jobs"].values())
    uses = re.findall(r"uses: ([\w/-]+)@(.*)", text)
    assert set(uses) == set(ACTIONS.items())
    for job in workflow["jobs"].values():
        (checkout,) = (step for step in job["steps"] if "checkout" in step.get("uses", ""))
        assert checkout["with"]["persist-credentials"] is False
    caches = [step["with"] for step in workflow["jobs"]["check"]["steps"] if "cache@" in step.get("uses", "")]
    assert [cache["path"] for cache in caches] == ["~/.cache/uv"]


def test_updates_of_exactly_what_was_chosen(ci: str, service: Service) -> None:
    expected: dict[str, list[str]] = {"dependabot": [], "renovate": []}
    for name in OPTIONS:
        for tool, words in OPTIONS[name].get("updates", {}).items() if name in service.chosen else ():
            expected[tool] += words
    if ci == "github":
        updates = yaml.safe_load(service.read(".github/dependabot.yml"))["updates"]
        assert [update["package-ecosystem"] for update in updates] == expected["dependabot"]
        assert all(update["schedule"] == {"interval": "weekly"} and update["groups"] for update in updates)
    else:
        assert json.loads(service.read("renovate.json"))["enabledManagers"] == expected["renovate"]


def test_servers_are_those_of_other_places() -> None:
    """Tests run on what the service is composed with, and production lets it connect to that."""
    for option in OPTIONS.values():
        if "service" in option:
            assert f"image: {option['service']['image']}\n" in (TREE / option["compose"]).read_text()
            # An emulator has a port of its own.
            emulated = any("ENDPOINT_URL" in setting["name"] for setting in option["settings"])
            assert option["service"]["port"] in option["egress"] or (emulated and option["egress"] == [443])


def test_an_option_plugs_in_by_data(ci: str, tmp_path: Path) -> None:
    """What its entry says is in the pipeline and in the manifests, and no other file was touched for it."""
    (tmp_path / "template").mkdir()
    template = copy_template(tmp_path / "template")
    path = template / "cookiecutter.json"
    manifest = json.loads(path.read_text())
    manifest["_options"]["example"] |= {
        "pipeline": [{"target": "rehearse"}],
        "service": {
            "image": "redis:8",
            "port": 6379,
            "environment": {"A": "b"},
            "health": "redis-cli ping",
            "tests": {"TEST_REDIS_URL": "redis://HOST/0"},
        },
        "updates": {"dependabot": ["npm"], "renovate": ["npm"]},
        "egress": [6379],
    }
    path.write_text(json.dumps(manifest))
    service = generate(tmp_path / "out", template, preset="full", ci=ci)
    assert "rehearse" in jobs(service, ci)
    assert "image: redis:8\n" in service.read(FILES[ci]) or "name: redis:8\n" in service.read(FILES[ci])
    host = {"github": "127.0.0.1", "gitlab": "example"}[ci]
    assert f"TEST_REDIS_URL: redis://{host}/0\n" in service.read(FILES[ci])
    assert "npm" in service.read({"github": ".github/dependabot.yml", "gitlab": "renovate.json"}[ci])
    assert "port: 6379\n" in service.read("kubernetes/base/network.yaml")


# --- executed ---


class Advisories(BaseHTTPRequestHandler):
    """A stand-in for an advisory service: the real ones cannot be reached from where these tests run.

    It is spoken to as osv.dev is: https://google.github.io/osv.dev/post-v1-query/
    """

    asked: set[tuple[str, str]]
    vulnerable: set[tuple[str, str]]

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = (query["package"]["name"], query["version"])
        self.asked.add(package)
        affected = [{"package": query["package"], "ranges": []}]
        advisory = {"id": "PYSEC-0000-1", "summary": "A stand-in.", "affected": affected}
        body = json.dumps({"vulns": [advisory]} if package in self.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def advisories(*vulnerable: tuple[str, str]) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """The URL of an advisory service that knows of these packages, and what it was asked for."""
    asked: set[tuple[str, str]] = set()
    handler = type("Handler", (Advisories,), {"asked": asked, "vulnerable": set(vulnerable)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:  # Otherwise, pytest would wait for the thread when a test has failed.
            server.shutdown()
            thread.join()


def audit(service: Path, url: str) -> tuple[int, str]:
    environment = clean_environment(PIP_AUDIT_OSV_URL=url)
    done = subprocess.run(["make", "audit"], cwd=service, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def audited(bake: Callable[..., Service]) -> Path:
    path = bake(project_name="Audited").path
    run(path, "make", "--silent", ".venv/ready")
    return path


def pins(service: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([\w.-]+)==([^\s;]+)", (service / "requirements.txt").read_text(), re.MULTILINE))


@pytest.mark.slow
def test_audit_asks_for_all_that_production_installs(audited: Path) -> None:
    with advisories(KNOWN) as (url, asked):
        status, printed = audit(audited, url)
    assert status == 0, printed
    assert "No known vulnerabilities found" in printed
    # What another system alone installs may be left out.
    assert len(pins(audited)) > 10
    assert {name for name, _ in pins(audited) - asked} <= {"colorama", "tzdata", "uvloop", "pywin32"}


@pytest.mark.slow
def test_audit_names_what_is_vulnerable(audited: Path) -> None:
    (flask,) = (pin for pin in pins(audited) if pin[0] == "flask")
    with advisories(KNOWN, flask) as (url, _):
        status, printed = audit(audited, url)
    assert status != 0
    assert re.search(rf"flask +{flask[1]} +PYSEC-0000-1", printed)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["away", "answers everything with nothing"])
def test_audit_that_could_look_nothing_up_fails(audited: Path, service: str) -> None:
    with advisories() as (url, _):
        status, printed = audit(audited, f"http://127.0.0.1:{free_port()}/" if service == "away" else url)
    assert status != 0
    assert "The audit failed: the lookup does not even find" in printed


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "sql"), [("github", "postgresql"), ("gitlab", "mysql")])
def test_steps_are_executed(ci: str, sql: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """In a clone, as CI has it; but the servers are this machine's, the advisories a stand-in's, the base made here."""
    need(sql)
    service = bake(ci=ci, sql=sql, api="yes", container="yes", project_name=f"Steps of {ci}")
    clone = commit_and_clone(service.path, tmp_path)
    executed = []
    with advisories(KNOWN) as (url, _):
        engines = [entry["target"] for entry in gathered(service, "pipeline") if "engine" in entry]
        for target, job in jobs(service, ci).items():
            variables = {
                name: SERVERS[sql] if name.startswith("TEST_") else value
                for name, value in (job.get("env") or job.get("variables") or {}).items()
            }
            if target in engines:
                if "DOCKER" not in variables:
                    print(f"make {target} wants a Docker daemon here: the other pipeline builds the image")
                    continue
                if packages := missing_programs():
                    missing("what images are built with", f"apt-get install {' '.join(packages)}")
                make_base(service.answers["python_version"])
                variables |= {"DOCKER": " ".join(buildah_command()), "ARGS": "--pull-never"}
            for command in script(job):
                environment = {"CI": "true", "PIP_AUDIT_OSV_URL": url, **variables}
                printed = run(clone, *shlex.split(command), **environment)
                executed.append(target)
            if target == "check":
                assert re.search(r"\d+ passed", printed)
                assert not re.search(r"\d+ skipped", printed)
                git(clone, "add", ".")
                git(clone, "commit", "--allow-empty", "--message", "What the first make writes")
                git(clone, "tag", "v1")
            if target == "contract":
                assert "compared with v1" in printed
            if target in engines:
                Image.load(f"localhost/{service.answers['project_slug']}:latest").remove()
    assert {"check", "audit", "contract"} <= set(executed)
    assert ci == "github" or "image" in executed


#: Services of pipelines that this machine has, and tests of a generated service that use each.
USED = {
    "postgresql": ({"sql": "postgresql"}, "tests/extensions/sqlalchemy"),
    "mysql": ({"sql": "mysql"}, "tests/extensions/sqlalchemy"),
    "redis": ({"redis": "yes"}, "tests/extensions/test_redis.py::test_locks"),
    "celery_redis": ({"jobs": "celery_redis"}, "tests/extensions/celery/test_jobs.py"),
    "celery_rabbitmq": ({"jobs": "celery_rabbitmq"}, "tests/extensions/celery/test_jobs.py"),
}


def declared(job: dict[str, Any], name: str) -> tuple[dict[str, str], str]:
    """The environment of a service of a job, of either host, and where the job reaches it: host and port."""
    services, alias, port = job["services"], name.replace("_", "-"), str(OPTIONS[name]["service"]["port"])
    if isinstance(services, dict):
        return services[alias].get("env", {}), f"127.0.0.1:{services[alias]['ports'][0].partition(':')[0]}"
    (found,) = [service for service in services if service["alias"] == alias]
    return found.get("variables", {}), f"{alias}:{port}"


#: What the image of a database makes of its environment.
MADE = {
    "postgresql": ["CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{POSTGRES_PASSWORD}'"],
    "mysql": [
        "CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{MARIADB_ROOT_PASSWORD}'",
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION",
        "CREATE DATABASE IF NOT EXISTS {MARIADB_DATABASE}",
    ],
}


@contextmanager
def as_declared(name: str, environment: dict[str, str]) -> Iterator[int]:
    """Run a server with the account that its image makes of this environment: its port."""
    if name == "celery_rabbitmq":
        control("status")
        yield 5672
    elif name in MADE:
        with private(name) as server:
            engine = sa.create_engine(with_driver(server.url), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
            with engine.connect() as connection:
                for statement in MADE[name]:
                    connection.exec_driver_sql(statement.format_map(environment))
            yield server.port
    else:
        with private_store("redis") as store:
            yield store.port


@pytest.mark.slow
@pytest.mark.parametrize("name", USED)
def test_own_tests_use_the_declared_services(name: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """With the variables of either pipeline, of which only host and port are changed; and RabbitMQ's account."""
    answers, tests = USED[name]
    found = []
    for ci in FILES:
        job = jobs(bake(ci=ci, **answers), ci)["check"]
        environment, address = declared(job, name)
        host, _, port = address.partition(":")
        variables = job.get("env") or job["variables"]
        given = {key: re.sub(rf"\b{host}(:{port})?(?![\w:-])", "HOST", url) for key, url in variables.items()}
        assert all("HOST" in url for url in given.values()), variables
        found.append((environment, given))
    (environment, given), other = found
    assert (environment, given) == other
    service = Owned(bake(ci="github", **answers), tmp_path / "service")
    with as_declared(name, environment) as port:

        def at(port: int) -> dict[str, str]:
            urls = {key: url.replace("HOST", f"127.0.0.1:{port}") for key, url in given.items()}
            return {key: url.replace("amqp://test:test@", "amqp://guest:guest@") for key, url in urls.items()}

        service.test(tests, **at(port))
    with pytest.raises(AssertionError, match="refused"):  # What is not asked is not missed.
        service.test(tests, "-x", **at(free_port()))


def commit_and_clone(service: Path, folder: Path) -> Path:
    """What an owner does after generating, and CI before its steps."""
    run(service, "make", "--silent", "requirements.txt")
    git(service, "init")
    git(service, "add", ".")
    git(service, "commit", "--message", "As generated")
    git(folder, "clone", str(service), "clone")
    return folder / "clone"


def git(folder: Path, *arguments: str) -> None:
    who = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    run(folder, "git", *arguments, GIT_CONFIG_GLOBAL=os.devnull, **who)
