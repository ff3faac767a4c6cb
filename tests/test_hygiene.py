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
from PACKAGE import core, modules

settings, values = json.load(sys.stdin)
good = {name: value for name, value in settings.items() if value}
loaded = [*core.LAYERS, *modules.load()]


def outcome(given, make=False):
    # What sends reports takes its time to start.
    groups = {name[:4] for name in given}
    sent = {name: value for name, value in good.items() if name[:4] in groups or name[:4] not in ("OTEL", "SENT")}
    os.environ.clear()
    os.environ.update(sent | {"APP_ENV": "testing"} | given)
    try:
        if not make:
            return core.settings.load(loaded) and ""
        status = PACKAGE.create_app().test_client().get("/livez").status_code
        return "" if status in (200, 400) else f"answers {status}"
    except core.settings.ConfigError as error:
        return str(error)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


kinds = {what: dict.fromkeys(settings, value) for what, value in values.items()}
kinds["a newline at its end"] = {name: example + "\\n" for name, example in settings.items()}
kinds["blanks around it"] = {name: f" {example} " for name, example in settings.items()}
kinds["another case"] = {name: example.swapcase() for name, example in settings.items()}
for what, given in kinds.items():
    told = {name: outcome({name: value}) for name, value in given.items()}
    taken = {name: value for name, value in given.items() if not told[name]}
    # An application takes its time too: one with all that is taken, and if it does not work, one for each.
    if outcome(taken, make=True):
        told |= {name: outcome({name: value}, make=True) for name, value in taken.items()}
    for name, line in told.items():
        print(json.dumps([name, what, line[:2000]]))
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
