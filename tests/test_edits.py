"""Ordinary edits of an owner, done to generated services: every generated test still passes.

Each edit alone: ``pytest tests/test_edits.py -k "alone and login"``.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from manifest import PRESETS
from owned import Owned
from running import run

SERVICES = {preset: {"preset": preset} for preset in PRESETS} | {"gunicorn": {"server": "gunicorn"}}
#: What an owner may import that does something when it is imported, or warns.
LIBRARIES = ["boto3", "pandas", "requests"]


def login(service: Owned) -> None:
    """Every request but probes needs credentials."""
    service.add(
        "blueprints.login",
        """from flask import Blueprint, abort, request

bp = Blueprint("login", __name__)


@bp.before_app_request
def authenticate() -> None:
    if request.path not in {"/livez", "/readyz", "/metrics"} and request.headers.get("Authorization") != "Bearer x":
        abort(401)
""",
    )
    # Tests of the owner's routes would send credentials now.
    shutil.rmtree(service.folder / "tests/blueprints")


def another_index(service: Owned) -> None:
    service.replace("blueprints/main.py", '@bp.get("/")\ndef index()', '@bp.get("/hello/<name>")\ndef index(name: str)')
    test = service.folder / "tests/blueprints/test_main.py"
    test.write_text(test.read_text().replace('"/"', '"/hello/you"'))


def no_main(service: Owned) -> None:
    (service.package / "blueprints/main.py").unlink()
    service.replace("modules.py", '    "blueprints.main",\n', "")
    (service.folder / "tests/blueprints/test_main.py").unlink()


def not_ready(service: Owned) -> None:
    service.add("extensions.stock", 'def ready() -> None:\n    raise ConnectionRefusedError("the stock is away")\n')


def a_line_at_start(service: Owned) -> None:
    service.add(
        "extensions.hello",
        """import structlog
from flask import Flask


def init_app(app: Flask) -> None:
    structlog.get_logger().info("hello_started")
    app.logger.warning("hello again")
""",
    )


def a_field_on_every_line(service: Owned) -> None:
    service.add(
        "extensions.team",
        """from typing import Any

import structlog
from flask import Blueprint, Flask

bp = Blueprint("team", __name__)


def init_app(app: Flask) -> None:
    structlog.configure(processors=[add_team, *structlog.get_config()["processors"]])


def add_team(logger: Any, method: str, event: Any) -> Any:
    return {"team": "orders", **event}


@bp.before_app_request
def bind() -> None:
    structlog.contextvars.bind_contextvars(team="orders")
""",
    )


def a_header_on_every_response(service: Owned) -> None:
    service.add(
        "blueprints.headers",
        """from flask import Blueprint, Response

bp = Blueprint("headers", __name__)


@bp.after_app_request
def add(response: Response) -> Response:
    response.headers["X-Team"] = "orders"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
""",
    )
    service.replace(
        "config.py", "    return {\n", '    return {\n        "RESPONSE_HEADERS": {"X-Frame-Options": "SAMEORIGIN"},\n'
    )
    (service.folder / "tests/blueprints/test_headers.py").write_text(
        """def test_headers(client):
    headers = client.get("/livez").headers
    assert (headers["X-Team"], headers["X-Frame-Options"]) == ("orders", "SAMEORIGIN")
    assert headers.getlist("Referrer-Policy") == ["same-origin"]
"""
    )


SHOP = """import click
import structlog
from flask import Blueprint, Flask, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from ..core.server import serving

bp = Blueprint("shop", __name__)
jobs = []


class SoldOut(HTTPException):
    code = 409
    description = "Nothing is left."

    def __init__(self, left: int) -> None:
        super().__init__()
        self.members = {"left": left}


def init_app(app: Flask) -> None:
    serving.connect(warm_up, app)


def warm_up(app: Flask) -> None:
    jobs.append("main")


@bp.before_app_request
def bind() -> None:
    if "worker" not in jobs:
        jobs.append("worker")
    structlog.contextvars.bind_contextvars(user=7)


@bp.get("/buy")
def buy() -> ResponseReturnValue:
    raise SoldOut(left=0)


@bp.get("/page")
def page() -> ResponseReturnValue:
    return render_template("page.html"), {"Content-Security-Policy": "default-src 'self'"}


@bp.cli.command("send-mail")
def send_mail() -> None:
    click.echo("sent")
"""
SHOP_TEST = """import re
from importlib import import_module


def test_what_the_readme_names(app, client, runner, package, capfd):
    response = client.get("/buy")
    assert (response.status_code, response.json["detail"], response.json["left"]) == (409, "Nothing is left.", 0)
    response.close()
    assert '"user":7' in capfd.readouterr().err
    page = client.get("/page")
    assert re.search(r"/static/shop\\.(\\w+\\.)?css", page.text)
    assert page.headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
    assert client.get("/static/shop.css").text == "body {}"
    assert runner.invoke(args=["shop", "send-mail"]).output == "sent\\n"
    shop = import_module(".blueprints.shop", package.__name__)
    assert shop.jobs == ["worker"]
    assert shop.warm_up in package.core.server.serving.receivers_for(app)
"""


def what_the_readme_names(service: Owned) -> None:
    """The changes that come first, where the README puts them, and an HTML page."""
    service.add("blueprints.shop", SHOP)
    for name, text in (
        ("templates/page.html", "{{ url_for('static', filename='shop.css') }}"),
        ("static/shop.css", "body {}"),
    ):
        (service.package / name).parent.mkdir(exist_ok=True)
        (service.package / name).write_text(text)
    (service.folder / "tests/blueprints/test_shop.py").write_text(SHOP_TEST)


def a_page_for_errors(service: Owned) -> None:
    service.add(
        "blueprints.lost",
        """from flask import Blueprint
from flask.typing import ResponseReturnValue

bp = Blueprint("lost", __name__)


@bp.app_errorhandler(404)
def not_found(error: Exception) -> ResponseReturnValue:
    return "<p>Nothing is here.</p>", 404
""",
    )


def a_table_in_the_readme(service: Owned) -> None:
    with (service.folder / "README.md").open("a") as readme:
        readme.write("\n## Events\n\n| Event | What |\n| --- | --- |\n| `ORDER_PLACED` | an order is placed |\n")


def libraries(service: Owned) -> None:
    code = "".join(f"import {name}  # type: ignore[import-untyped]\n" for name in LIBRARIES)
    service.add(
        "extensions.warehouse", f"{code}\nTABLE, SESSION, GET = pandas.DataFrame, boto3.Session, requests.get\n"
    )


def a_setting(service: Owned) -> None:
    """It is documented nowhere."""
    service.replace("config.py", "    return {\n", '    return {\n        "GREETING": env.text("GREETING", "hello"),\n')


def a_setting_renamed(service: Owned) -> None:
    service.everywhere("LOG_LEVEL", "LOG_VERBOSITY")
    service.everywhere("READY_TIMEOUT", "PROBE_TIMEOUT")


def the_package_renamed(service: Owned) -> None:
    """Of its tests, ``conftest.py`` alone names it."""
    old = service.package.name
    named = [path for path in service.folder.glob("tests/**/*.py") if re.search(rf"\b{old}\b", path.read_text())]
    assert [str(path.relative_to(service.folder)) for path in named] == ["tests/conftest.py"]
    service.package = service.package.rename(service.package.with_name("renamed_service"))
    service.everywhere(old, "renamed_service")
    if (service.folder / "openapi.json").exists():  # It is called after the package.
        service.command("openapi", "write")


def a_second_version(service: Owned) -> None:
    if not (service.package / "extensions/api").exists():
        return
    service.replace(
        "config.py",
        "    return {\n",
        '    return {\n        "API_VERSIONS": {"/api/v1": "1.0.0", "/api/v2": "2.0.0"},\n',
    )
    service.add(
        "blueprints.greetings",
        """from flask import Blueprint

from ..extensions.api.contract import Output, operation

bp = Blueprint("greetings", __name__, url_prefix="/api/v2")


class Greeting(Output):
    text: str


@bp.get("/greetings/<name>")
@operation()
def greet(name: str) -> Greeting:
    \"\"\"Greet somebody.\"\"\"
    return Greeting(text=name)
""",
    )
    service.command("openapi", "write")


def a_scheduled_job(service: Owned) -> None:
    if not (service.package / "extensions/celery").exists():
        return
    service.add(
        "blueprints.sweeping",
        """from datetime import timedelta

from ..extensions.celery import job


@job("sweeping.sweep", every=timedelta(hours=1))
def sweep() -> None:
    """
        '"""Clean up."""\n',
    )


def a_table(service: Owned) -> None:
    """A blueprint with a table of its own, its migration, and its test."""
    if not (service.package / "extensions/sqlalchemy").exists():
        return
    service.add(
        "blueprints.visits",
        """from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions.sqlalchemy import Base, db

bp = Blueprint("visits", __name__)


class Visit(Base):
    __tablename__ = "visits"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(200))


@bp.post("/visits/<path>")
def visit(path: str) -> ResponseReturnValue:
    db.session.add(Visit(path=path))
    db.session.commit()
    return {"visits": db.session.scalar(select(func.count()).where(Visit.path == path))}, 201
""",
    )
    (service.folder / "tests/blueprints/test_visits.py").write_text(
        """from importlib import import_module


def test_visits(client, create, package):
    create(import_module(".blueprints.visits", package.__name__).Visit, path="home")
    assert client.post("/visits/home").json == {"visits": 2}
"""
    )
    migrate(service, "Add visits")


def a_column(service: Owned) -> None:
    """One more column in a table of the example, and its migration."""
    model = "blueprints/example/sqlalchemy/__init__.py"
    if not (service.package / model).exists():
        return
    service.replace(model, "from sqlalchemy import String, Text", "from sqlalchemy import String, Text, false")
    version = "    version: Mapped[int] = mapped_column(default=1)\n"
    column = "    pinned: Mapped[bool] = mapped_column(default=False, server_default=false())\n"
    service.replace(model, version, version + column)
    migrate(service, "Pin notes")


def migrate(service: Owned, message: str) -> None:
    for command in ("upgrade", f"revision|{message}", "upgrade", "check"):
        service.command("db", *command.split("|"))


#: What an owner of pages decides otherwise.
DECISIONS = {
    "blueprints/accounts/users.py": [
        ("timedelta(days=30), timedelta(days=14), timedelta(days=1)", "timedelta(90), timedelta(60), timedelta(30)"),
        ("RECENT = timedelta(minutes=15)", "RECENT = timedelta(hours=2)"),
    ],
    "blueprints/admin/sections.py": [("PAGE_SIZE, MAX_PAGES = 50, 1000", "PAGE_SIZE, MAX_PAGES = 15, 100")],
    "blueprints/example/sqlalchemy/pages/__init__.py": [("PAGE_SIZE = 20", "PAGE_SIZE = 7")],
}


def other_decisions(service: Owned) -> None:
    """How long people stay signed in, and how long a page of a list is."""
    for name, decisions in DECISIONS.items():
        for old, new in decisions if (service.package / name).exists() else ():
            service.replace(name, old, new)


def a_page_for_staff(service: Owned) -> None:
    if not (service.package / "blueprints/accounts").exists():
        return
    service.add(
        "blueprints.figures",
        """from flask import Blueprint

from .accounts.users import current_user, staff_required

bp = Blueprint("figures", __name__)


@bp.get("/figures")
@staff_required
def figures() -> str:
    return f"Hello, {current_user.email}!"
""",
    )
    (service.folder / "tests/blueprints/test_figures.py").write_text(
        """def test_figures(app, browser, user, staff, sign_in):
    assert app.test_client().get("/figures").status_code == 401
    sign_in(user)
    assert browser.open("/figures").status_code == 403
    sign_in(staff)
    assert browser.open("/figures").text == "Hello, grace@example.com!"
"""
    )


def no_example(service: Owned) -> None:
    """By hand, as the README says."""
    section = (service.folder / "README.md").read_text().split("\n## The example\n")[1].split("\n## ")[0]
    for folder in [path for path in service.folder.rglob("example") if path.is_dir()]:
        shutil.rmtree(folder)
    modules = service.package / "modules.py"
    modules.write_text(re.sub(r'    "blueprints\.example.*\n', "", modules.read_text()))
    commands = re.findall(r"`\.venv/bin/flask (.*?)`", section)
    assert len(commands) == 3
    assert "`make openapi`" in section
    for command in [*commands, "openapi write"]:
        service.command(*shlex.split(command))
    service.command("db", "check")


def another_line_length(service: Owned) -> None:
    project = service.folder / "pyproject.toml"
    project.write_text(project.read_text().replace("line-length = 120", "line-length = 88"))
    run(service.folder, "ruff", "format", "--no-cache")
    run(service.folder, "ruff", "check", "--no-cache", "--select", "I", "--fix")
    run(service.folder, "ruff", "check", "--no-cache")


#: In the order in which they are done. The first two are each for themselves: they take tests or routes away.
EDITS = [
    login,
    no_main,
    another_index,
    not_ready,
    a_line_at_start,
    a_field_on_every_line,
    a_header_on_every_response,
    what_the_readme_names,
    a_page_for_errors,
    a_table_in_the_readme,
    libraries,
    a_second_version,
    a_scheduled_job,
    a_table,
    a_column,
    other_decisions,
    a_page_for_staff,
    a_setting,
    a_setting_renamed,
    the_package_renamed,
    another_line_length,
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries of others."""
    folder = tmp_path_factory.mktemp("site")
    run(folder, "uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), *LIBRARIES)
    return folder


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, bake: Callable[..., Service], site: Path, tmp_path: Path) -> Owned:
    return Owned(bake(**SERVICES[request.param]), tmp_path / "service", site)


#: The edits that go together, on each service. The first two take tests or routes away: ``login`` is made alone, and
#: ``no_main`` on ``full`` instead of another index. ``make prove`` does it to each service, and there test_alone makes
#: each of them on each.
PROVED = {"api", "ingest", "website"}
TOGETHER = [
    *(
        pytest.param(name, EDITS[2:], False, id=f"{name}-all", marks=[pytest.mark.prove] if name in PROVED else [])
        for name in SERVICES
        if name != "full"
    ),
    pytest.param("full", [no_main, *EDITS[3:]], False, id="full-all"),
    pytest.param("full", [no_main, *EDITS[3:]], True, id="full-measured", marks=pytest.mark.prove),
    *(pytest.param("gunicorn", [edit], False, id=f"gunicorn-{edit.__name__}") for edit in EDITS[:2]),
    pytest.param("api", [no_example], False, id="api-no-example"),
]
#: Of all of core and extensions, percent of the lines and branches that run in the tests of ``full``.
COVERED = 90


@pytest.mark.slow
@pytest.mark.parametrize(("service", "edits", "measured"), TOGETHER, indirect=["service"])
def test_edits(service: Owned, edits: list[Callable[[Owned], None]], measured: bool, tmp_path: Path) -> None:
    """A service asks coverage of its owner's code; here it is asked of the rest, in a run that takes place anyway."""
    for edit in edits:
        edit(service)
    if not measured:
        service.test()
        return
    (tmp_path / "config").write_text("[run]\nbranch = true\n[report]\nskip_covered = true\n")
    rest = [f"--cov={service.package.name}.{part}" for part in ("core", "extensions")]
    asked = [f"--cov-config={tmp_path / 'config'}", "--cov-report=term-missing", f"--cov-fail-under={COVERED}"]
    printed = service.test(*rest, *asked)
    print(printed[printed.index("Name") :])


@pytest.mark.prove
@pytest.mark.parametrize("edit", EDITS, ids=[edit.__name__ for edit in EDITS])
def test_alone(service: Owned, edit: Callable[[Owned], None]) -> None:
    edit(service)
    service.test()
