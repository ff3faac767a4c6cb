"""Every setting, as platforms hand it over: each value is taken, or refused in a line that names the setting."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import Service
from manifest import ENGINES, PRESETS, settings

#: What is handed over, by what is wrong with it.
VALUES = {
    "empty": "",
    "blank": "  \t ",
    "a newline": "\n",
    "the wrong type": "[1, {}]",
    "too large": "9" * 400,
    "negative": "-1",
    "a fraction": "1.5",
    "not a number": "nan",
    "another encoding": os.fsdecode(b"caf\xe9 \xff"),
    "a character that is not printed": "\u2028\x1b[31m",
    "very long": "x" * 100_000,
    "a template": "${HOME} {{ x }} %s {0}",
}
PROGRAM = """
import json, os, sys
import PACKAGE
from PACKAGE.core.settings import ConfigError

settings, values = json.load(sys.stdin)
good = {name: value for name, value in settings.items() if value}
for name, example in settings.items():
    given = values | {"a newline at its end": example + "\\n", "blanks around it": f" {example} ", "another case": example.swapcase()}
    for what, value in given.items():
        # What sends reports takes its time to start.
        sent = {key: text for key, text in good.items() if key[:4] == name[:4] or key[:4] not in ("OTEL", "SENT")}
        os.environ.clear()
        os.environ.update(sent | {"APP_ENV": "testing", name: value})
        try:
            app = PACKAGE.create_app()
            status = app.test_client().get("/livez").status_code
            outcome = "" if status in (200, 400) else f"answers {status}"
        except ConfigError as error:
            outcome = str(error)
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        print(json.dumps([name, what, outcome[:2000]]))
"""


def examples(service: Service) -> dict[str, str]:
    """The settings of a service, each with a value that is right."""
    return {
        name: str(setting.get("trial") or setting["example"]).replace("{port}", "4318")
        for name, setting in settings(service.chosen).items()
    }


FULL = {"preset": "full"}
#: What full does not have.
OTHERS = [{"sql": engine} for engine in ENGINES if engine != PRESETS["full"]["sql"]] + [{"server": "gunicorn"}]


@pytest.mark.slow
@pytest.mark.parametrize("answers", [FULL, *OTHERS], ids=str)
def test_every_setting_with_every_value(answers: dict[str, str], bake: Callable[..., Service]) -> None:
    service = bake(**answers)
    given = examples(service)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("PACKAGE", service.answers["package_name"])],
        input=json.dumps([given, VALUES]),
        env={"PYTHONPATH": str(service.path / "src")},
        cwd=service.path,
        capture_output=True,
        text=True,
        check=True,
    )
    wrong = []
    for line in done.stdout.splitlines():
        name, what, outcome = json.loads(line)
        # An environment that is unknown is as strict as production, which asks for more.
        if (
            outcome
            and name != "APP_ENV"
            and not re.fullmatch(rf"These settings are missing or wrong:\n  {name}: [^\n]+(\nTo develop.*)?", outcome)
        ):
            wrong.append(f"{name} with {what}: {outcome}")
        elif outcome and given[name] and what in ("a newline at its end", "blanks around it"):
            wrong.append(f"{name} with {what} is refused: {outcome}")
    print("\n".join(wrong))
    assert len(done.stdout.splitlines()) > 200
    assert not wrong
