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
    aifc alembic amqp annotationlib argon2 argon2-cffi argon2-cffi-bindings argon2_cffi argon2_cffi_bindings asgiref
    ast-serialize ast_serialize async-timeout async_timeout asynchat asyncore attr attrs audioop aux babel
    beautifulsoup4 billiard blinker boto3 botocore bs4 bson build cachetools cassandra cassandra-driver cassandra_driver
    cbor2 celery certifi cffi cfgv cgi cgitb charset-normalizer charset_normalizer chunk click click-didyoumean
    click-plugins click-repl click_didyoumean click_plugins click_repl colorama com1 com2 com3 com4 com5 com6 com7 com8
    com9 compression con coverage crypt cryptography dateutil deprecated dist distlib distutils dns dnspython docker
    dotenv exceptiongroup execnet fakeredis filelock flask flask-alembic flask-cors flask-sqlalchemy-lite
    flask-swagger-ui flask-wtf flask_alembic flask_cors flask_sqlalchemy_lite flask_swagger_ui flask_wtf flit flit-core
    flit_core geomet google googleapis-common-protos googleapis_common_protos granian greenlet gridfs gunicorn identify
    idna imghdr imp importlib-metadata importlib_metadata iniconfig inspect2 itsdangerous jinja2 jmespath joserfc
    jsonschema jsonschema-specifications jsonschema_specifications kombu lib2to3 librt lpt1 lpt2 lpt3 lpt4 lpt5 lpt6
    lpt7 lpt8 lpt9 lupa mailcap mako markupsafe moto msgspec msilib mypy mypy-boto3-dynamodb mypy-extensions
    mypy_boto3_dynamodb mypy_extensions mypyc neosqlite nis nntplib node_modules nodeenv nul nx-27017 nx_27017
    opentelemetry opentelemetry-api opentelemetry-exporter-http-transport opentelemetry-exporter-otlp-common
    opentelemetry-exporter-otlp-proto-common opentelemetry-exporter-otlp-proto-http opentelemetry-proto
    opentelemetry-sdk opentelemetry-semantic-conventions opentelemetry_api opentelemetry_exporter_http_transport
    opentelemetry_exporter_otlp_common opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http
    opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions orjson ossaudiodev packaging pathspec pip
    pipes platformdirs pluggy pre-commit pre_commit prn prometheus-client prometheus_client prompt-toolkit
    prompt_toolkit protobuf psycopg psycopg-binary psycopg_binary pwdlib py py-partiql-parser py_partiql_parser pyasn1
    pyasn1-modules pyasn1_modules pycparser pygments pymongo pymysql pyopenssl pyotp pytest pytest-cov pytest-xdist
    pytest_cov pytest_xdist python python-dateutil python-discovery python-dotenv python_dateutil python_discovery
    python_dotenv pywin32 pyyaml redis referencing requests responses rpds rpds-py rpds_py ruff s3transfer segno
    sentry-sdk sentry_sdk setuptools site-packages six smtpd sndhdr sortedcontainers soupsieve spwd sqlalchemy structlog
    sunau telnetlib test tomli trustme typing-extensions typing_extensions tzdata tzlocal urllib3 uu uv uvx venv vine
    virtualenv wcwidth webauthn werkzeug wheel wrapt wtforms xdist xdrlib xmltodict yaml
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
    yield from worked_out()
    yield from needs()


def worked_out():
    """What the template works out from the answers. Cookiecutter does not do so again for a replay."""
    chosen = set()
    for name, option in options.items():
        if option.get("always") or asked.get(option.get("question", name)) in ("yes", name):
            chosen |= {name, *option.get("implies", ())}
    if chosen != set(answers["__chosen"].split()):
        yield "__chosen does not fit the answers, which a replay cannot change: give them as question=answer."


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
