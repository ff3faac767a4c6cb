"""Refuse answers that would not make a working service: a line each, and nothing left behind."""

import json
import keyword
import os
import re
import sys
import unicodedata
from contextlib import suppress

if sys.version_info < (3, 10):
    sys.exit("Cookiecutter runs on Python {}.{}: it needs 3.10 or newer here.".format(*sys.version_info))

# The only form in which answers come in here: whatever they hold, this is one literal of Python's.
answers = json.loads({{cookiecutter | jsonify | jsonify}})
given = {name: value for name, value in answers.items() if not name.startswith("_")}
asked = {name: str(value) for name, value in given.items()}

# The answers that closed questions allow. An option with no question is one itself.
options = answers["_options"]
closed = {name: ["yes", "no"] for name in options if name in asked} | answers["_answers"]

# What services install, as distributions and as modules, and a few more. `make reserved` writes it.
RESERVED = frozenset(
    """
    aifc alembic annotationlib asgiref ast-serialize ast_serialize asynchat asyncore audioop aux blinker build certifi
    cfgv cgi cgitb charset-normalizer charset_normalizer chunk click colorama com1 com2 com3 com4 com5 com6 com7 com8
    com9 compression con coverage crypt dist distlib distutils dotenv exceptiongroup execnet filelock flask
    flask-alembic flask-sqlalchemy-lite flask-swagger-ui flask_alembic flask_sqlalchemy_lite flask_swagger_ui flit
    flit-core flit_core google googleapis-common-protos googleapis_common_protos granian greenlet gunicorn identify idna
    imghdr imp importlib-metadata importlib_metadata iniconfig itsdangerous jinja2 lib2to3 librt lpt1 lpt2 lpt3 lpt4
    lpt5 lpt6 lpt7 lpt8 lpt9 mailcap mako markupsafe msgspec msilib mypy mypy-extensions mypy_extensions mypyc nis
    nntplib node_modules nodeenv nul opentelemetry opentelemetry-api opentelemetry-exporter-http-transport
    opentelemetry-exporter-otlp-common opentelemetry-exporter-otlp-proto-common opentelemetry-exporter-otlp-proto-http
    opentelemetry-proto opentelemetry-sdk opentelemetry-semantic-conventions opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common opentelemetry_exporter_otlp_proto_common
    opentelemetry_exporter_otlp_proto_http opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions
    orjson ossaudiodev packaging pathspec pip pipes platformdirs pluggy pre-commit pre_commit prn prometheus-client
    prometheus_client protobuf psycopg psycopg-binary psycopg_binary py pygments pymysql pytest pytest-cov pytest-xdist
    pytest_cov pytest_xdist python python-discovery python-dotenv python_discovery python_dotenv pyyaml requests ruff
    sentry-sdk sentry_sdk setuptools site-packages smtpd sndhdr spwd sqlalchemy structlog sunau telnetlib test tomli
    typing-extensions typing_extensions tzdata urllib3 uu uv uvx venv virtualenv werkzeug wheel xdist xdrlib yaml
    """.split()
)
# https://www.unicode.org/reports/tr9/: they make text look like another one.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def problems():
    """Yield a line for each answer that is refused, saying what to answer instead."""
    for name, text in asked.items():
        check = closed_problem if name in closed else text_problem
        if not isinstance(given[name], str):
            # YAML and JSON have values that are no text, and YAML takes yes and no for such. Numbers came as text.
            example = f', such as "{closed[name][0]}"' if name in closed else ""
            yield f"{name}={json.dumps(given[name])[:60]}: write a text, in quotes{example}."
        elif problem := check(name, text):
            yield f"{name}={shown(text)}: {problem}."
    yield from needs()


def shown(text):
    """Show an answer on one line, in quotes; of a long one its beginning."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def closed_problem(name, text):
    *others, last = closed[name]
    return None if text in closed[name] else f"answer {', '.join(others)} or {last}"


def text_problem(name, text):
    if not text.strip():
        return "it must not be empty"
    if len(text) > 500:
        return f"write at most 500 characters, not {len(text)}"
    # Cookiecutter renders what its command line gives it, and cruft all recorded answers at each update.
    if any(mark in text for mark in ("{" + "{", "{" + "%", "{" + "#")):
        return "leave out double braces, brace-percent and brace-hash, which templates are made of"
    hidden = {char for char in text if char in TURNING or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}
    if name in ("description", "author_name"):
        hidden.discard("\n")
    if hidden:
        codes = sorted(f"U+{ord(char):04X}" for char in hidden)
        return f"leave out {', '.join(codes[:5])}{' and others' * (len(codes) > 5)}, which cannot be seen"
    return name_problem(name, text)


def name_problem(name, text):
    """What is wrong with an answer from which files, a distribution or a package get their name."""
    if name == "project_slug":
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text) or len(text) > 50:
            return "use lower-case letters, digits and single hyphens, a letter first, at most 50 in all"
        if {text, text.replace("-", "_")} & RESERVED:
            return "choose another, a package that services install has this name"
    if name == "package_name":
        # With a longer name, the formatter would wrap the lines that import it.
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text) or len(text) > 30:
            return "use lower-case letters, digits and single underscores, a letter first, at most 30 in all"
        if keyword.iskeyword(text) or text in sys.stdlib_module_names or text in RESERVED:
            return "choose another, Python or a package that services install has this name"
        if text in ("conftest", "fixtures", "src", "tests") or text.startswith("test_"):
            return "choose another, this one is for tests"
    if name == "author_email" and not re.fullmatch(
        r"[\w%+-]+(\.[\w%+-]+)*@[a-z0-9-]+(\.[a-z0-9-]+)+", text, re.ASCII | re.IGNORECASE
    ):
        return "write an address such as team@example.com"
    return None


def needs():
    """Options that cannot stand without another, or beside it."""
    chosen = answers["__chosen"].split()
    for name in chosen:
        question = options[name].get("question", name)
        instead = "".join(f" or {question}={off}" for off in ("no", "none") if off in closed.get(question, []))
        for needed, answer in options[name].get("needs", {}).items():
            if needed not in chosen:
                yield f"{question}={asked[question]} needs {needed}: answer {answer}{instead}."
        for excluded, answer in options[name].get("excludes", {}).items():
            if excluded in chosen:
                yield f"{question}={asked[question]} does not go with {excluded}: answer {answer}{instead}."


def forsake():
    """Remove the empty folders that were made for a slug with a path in it; cookiecutter removes but the last."""
    # Imported here, because it takes a fifth of the time of a run that refuses nothing.
    from pathlib import Path

    slug = Path(asked["project_slug"])
    output = answers.get("_output_dir")  # cruft does not tell it
    made = Path(output, slug) if output else Path.cwd()
    if len(slug.parts) > 1:
        for folder, part in zip((made, *made.parents), reversed(slug.parts), strict=False):
            if folder.name != part or str(folder) == output:
                break
            with suppress(OSError):  # Not empty, so not only ours.
                folder.rmdir()


if os.listdir():
    sys.exit(f"The folder {os.getcwd()} is not empty: choose another project_slug, or move what is there.")
if refused := list(problems()):
    forsake()
    print(*refused, sep="\n", file=sys.stderr)
    sys.exit(1)
