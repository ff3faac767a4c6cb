"""What the README of a service says of its API, followed to the letter; then a resource with a relation, beside it."""

import json
import re
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from manifest import TEMPLATE
from running import run, set_up

pytestmark = pytest.mark.slow

OWN = '    "blueprints.main",\n'
SOURCES = TEMPLATE / "tests/resources"


def follow(service: Path, *titles: str) -> None:
    """Write the files that these sections name, list their modules, and run their commands, in order."""
    readme = (service / "README.md").read_text()
    for title in titles:
        section = re.search(rf"^### {title}\n(.*?)(?=^##)", readme, re.DOTALL | re.MULTILINE)[1]  # type: ignore[index]
        for module in re.findall(r'`"(\w+\.\w+)"`', section):
            add(service, module)
        section = re.sub(r', with `"\w+\.\w+"` in `OWN` of `modules.py`', "", section)
        for path, source, commands in re.findall(
            r"`((?:src|tests)/\S+)`[^`]*```py\n(.*?)```|```sh\n(.*?)```", section, re.DOTALL
        ):
            if source:
                (service / path).write_text(dedent(source))
            else:
                run(service, "sh", "-ec", commands)


def add(service: Path, module: str) -> None:
    (modules,) = service.glob("src/*/modules.py")
    modules.write_text(modules.read_text().replace(OWN, f'{OWN}    "{module}",\n'))


def check(service: Path, once: dict[str, str]) -> None:
    run(service, "make", "--silent", "openapi")
    run(service, "make", "--silent", "check", **once)


def test_an_operation_and_who_may_call_it(bake: Any, once: dict[str, str]) -> None:
    service = bake(preset="minimal", api="yes", project_name="Greetings").path
    follow(service, "Add an operation", "Who may call")
    path = service / "src/greetings/blueprints/greetings.py"
    path.write_text(path.read_text().replace("@operation()", '@operation(security="login")'))
    test = service / "tests/blueprints/test_greetings.py"
    known = 'headers={"Authorization": "Bearer a long random token"}'
    text = test.read_text()
    test.write_text(
        re.sub(r'(json=\{"name": "\w*"\})', rf"\1, {known}", text)
        + '    assert client.post("/api/v1/greetings").status_code == 401\n'
    )
    run(service, "make", "--silent", "format")
    check(service, once)
    contract = json.loads((service / "openapi.json").read_text())
    assert contract["components"]["securitySchemes"] == {"login": {"type": "http", "scheme": "bearer"}}


def test_a_resource_with_a_relation(bake: Any, once: dict[str, str]) -> None:
    service = bake(preset="api", project_name="Orders").path
    set_up(service)
    follow(service, "Add a resource")
    shutil.copy(SOURCES / "orders.py", service / "src/orders/blueprints/orders.py")
    shutil.copy(SOURCES / "check_orders.py", service / "tests/blueprints/test_orders.py")
    add(service, "blueprints.orders")
    for command in (("upgrade",), ("revision", "Add orders"), ("upgrade",)):
        run(service, ".venv/bin/flask", "db", *command)
    check(service, once)
    customers, orders = (
        len((service / f"src/orders/blueprints/{name}.py").read_text().splitlines()) for name in ("customers", "orders")
    )
    print(f"customers {customers} lines, orders {orders}")
