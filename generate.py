"""Generate a service by script: like cookiecutter, but a question that does not exist is refused.

Usage: generate.py [--output-dir FOLDER] [--template ADDRESS] [ANSWERS.json | question=answer]...

Later answers win. Questions without an answer take that of the preset; the user's configuration is not read.
ADDRESS is what `make update` clones later. It is this folder, unless told otherwise.
"""

import argparse
import json
import logging
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cookiecutter.exceptions import CookiecutterException, FailedHookException
from cookiecutter.main import cookiecutter

RECORD = ".cruft.json"
MANIFEST: dict[str, Any] = json.loads(Path(__file__).with_name("cookiecutter.json").read_text(encoding="utf-8"))


def main() -> None:
    assert __doc__
    summary, _, usage = __doc__.partition("\n\nUsage: generate.py ")
    parser = argparse.ArgumentParser(usage=f"%(prog)s {usage}", description=summary)
    parser.add_argument("answers", nargs="*", metavar="ANSWERS.json | question=answer")
    parser.add_argument("--output-dir", default=".")
    parser.add_argument("--template")
    arguments = parser.parse_intermixed_args()
    answers: dict[str, Any] = {}
    try:
        for argument in arguments.answers:
            name, equals, answer = argument.partition("=")
            answers |= {name: answer} if equals else read(Path(argument).read_text(encoding="utf-8"), argument)
        extra = {name: typed(text) for name, text in as_text(answers).items()}
        folder = cookiecutter(
            str(Path(__file__).parent.resolve()),
            no_input=True,
            extra_context=extra,
            default_config=True,
            output_dir=arguments.output_dir,
        )
    except FailedHookException:
        sys.exit(1)  # The hook has said why.
    except (CookiecutterException, OSError, ValueError) as error:
        sys.exit(str(error))
    record = Path(folder, RECORD)
    if arguments.template and record.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        write(record, made | {"template": without_password(arguments.template)})


def read(text: str, source: str) -> dict[str, Any]:
    """Read an object of JSON; its numbers remain as they are written, so that 3.10 is not 3.1."""
    try:
        return dict[str, Any](json.loads(text, parse_float=str, parse_int=str).items())
    except (AttributeError, ValueError):
        raise ValueError(f"""{source} is no object in JSON, such as {{"metrics": "yes"}}""") from None


def as_text(answers: Mapping[str, Any]) -> dict[str, str]:
    """Return the answers as the text that was meant; refuse those to no question, and those that could mean anything."""
    asked = [name for name in MANIFEST if not name.startswith("_")]
    texts, problems = {}, []
    for name, answer in answers.items():
        if name not in asked:
            nearest = get_close_matches(name.lower(), asked, 1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"the questions are {', '.join(asked)}."
            problems.append(f"{name}: the template asks no such question, {hint}")
        elif isinstance(answer, str):
            texts[name] = answer
        elif isinstance(answer, bool) and name in MANIFEST["_options"]:
            texts[name] = "yes" if answer else "no"
        else:
            problems.append(f"{name}={json.dumps(answer, default=str)}: write a text, in quotes.")
    if problems:
        raise ValueError("\n".join(problems))
    return texts


def typed(text: str) -> str:
    """Write an answer so that cookiecutter, which renders what a program gives it, takes it as it is."""
    return '{{ "' + "".join(f"\\U{ord(char):08x}" for char in text) + '" }}'


def without_password(address: str) -> str:
    """Leave out the password of a URL, as hooks/post_gen_project.py does; over HTTP a user's name may be a token."""
    return re.sub(r"^(https?://)[^/]*@|^(ssh://[^/:@]*):[^/@]*(?=@)", r"\1\2", address)


def write(path: Path, made: dict[str, Any]) -> None:
    """Write what a service records of its template, in the format of cruft."""
    made["context"]["cookiecutter"]["_template"] = made["template"]
    path.write_text(json.dumps(made, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    # Cookiecutter would add a traceback to what its hooks say.
    logging.disable(logging.CRITICAL)
    main()
