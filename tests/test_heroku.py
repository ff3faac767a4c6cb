"""Heroku: each line of the Procfile is started in what its buildpack would have made."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Service
from databases import Private, private
from manifest import OPTIONS, PRESETS, chosen, settings, start_commands
from running import clean_environment, required_settings, run, serving, set_up
from test_readme import blocks


def lines(service: Service) -> dict[str, str]:
    """The lines of the Procfile, by the types of process."""
    return dict(line.split(": ", 1) for line in service.read("Procfile").splitlines())


@pytest.fixture(params=PRESETS)
def service(request: pytest.FixtureRequest, bake: Callable[..., Service]) -> Service:
    return bake(preset=request.param, heroku="yes", project_name="Dyno")


def test_the_release_does_what_comes_before_serving(service: Service) -> None:
    commands = start_commands(service.chosen)
    release = " && ".join(f"PYTHONPATH=src python -m dyno {command}" for command in commands)
    assert lines(service).get("release", "") == release
    others = [process for name in OPTIONS if name in service.chosen for process in OPTIONS[name].get("processes", [])]
    assert list(lines(service)) == [*(["release"] if commands else []), "web", *others]


def test_the_readme_sets_all_that_heroku_does_not(service: Service) -> None:
    section = service.read("README.md").split("\n## Heroku\n")[1].split("\n## ")[0]
    (command,) = blocks(section)
    told = settings(service.chosen).values()
    secrets = {setting["name"] for setting in told if setting.get("required") is True}
    assert set(re.findall(r"(\w+)=", command)) == secrets
    others = {setting["name"] for setting in told if isinstance(setting.get("required"), str)}
    assert others == {name for name in others if f"`{name}`" in section}


@pytest.fixture(scope="module")
def database() -> Iterator[Private]:
    with private("postgresql") as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["minimal", "full"])
def test_each_line_starts(preset: str, bake: Callable[..., Service], database: Private, tmp_path: Path) -> None:
    """Where only requirements.txt was installed, into an environment of its own, and the code was copied beside it."""
    service = bake(preset=preset, heroku="yes", project_name="Dyno")
    set_up(service.path)
    app = tmp_path / "app"
    shutil.copytree(service.path, app, ignore=shutil.ignore_patterns(".venv"))
    run(tmp_path, "python", "-m", "venv", "python")
    path = f"{tmp_path / 'python/bin'}:{os.environ['PATH']}"
    # Python compiles what it imports; pip would compile all that is installed.
    quick = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    run(app, "pip", "install", *quick, "--requirement", "requirements.txt", PATH=path)

    settings = required_settings(app) | {"PATH": path, "DYNO": "web.1", "WEB_CONCURRENCY": "3"}
    if "DATABASE_URL" in settings:
        settings["DATABASE_URL"] = database.url.replace("postgresql://", "postgres://")
    started = lines(service)
    if "release" in started:
        run(app, "bash", "-c", started["release"], **settings)
    with serving(app, tmp_path / "log", ["bash", "-c", started["web"]], **settings) as server:
        server.await_ready()
        assert server.get_many("/", 100) == [200] * 100
        status, body = server.get("/readyz")
        assert status == 200, body
        if "sqlalchemy" in service.chosen:
            assert json.loads(body)["checks"]["sqlalchemy"] == "ok"
    assert server.process.returncode == 0
    spawned = [line for line in server.log_lines() if "Spawning worker" in str(line["event"])]
    assert len(spawned) == 3


@pytest.mark.slow
def test_a_web_line_without_its_settings_does_not_start(bake: Callable[..., Service]) -> None:
    """So the test above would see a line that is wrong."""
    service = bake(preset="minimal", heroku="yes", project_name="Dyno")
    run(service.path, "make", "--silent", ".venv/ready")
    path = f"{service.path / '.venv/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", lines(service)["web"]],
        cwd=service.path,
        env=clean_environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def test_no_preset_but_full_has_a_procfile(bake: Callable[..., Service]) -> None:
    for preset in PRESETS:
        service = bake(preset=preset)
        assert ("Procfile" in service.files) == ("heroku" in service.chosen) == (preset == "full")
    assert "heroku" not in chosen({})
