"""A process that answers requests without a server, and tells what they cost: started by access.py.

Its argument is ``service``, whose database and origins are in the environment, ``cors`` (Flask-CORS) or ``flask``. It reads
a case and a number of requests a line, answers them, and writes the seconds of CPU, or the bytecodes of one for 0.
"""

import gc
import os
import sys
from io import BytesIO
from time import process_time

ORIGIN = "https://www.example.com"
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
#: By the operations that are asked with them.
TOKENS = {}


def service():
    from flask_service import create_app
    from flask_service.extensions.api.contract import operation
    from flask_service.extensions.api.security import scheme
    from flask_service.extensions.sqlalchemy import Base, db
    from flask_service.extensions.tokens import new

    def answer() -> dict[str, str]:
        """Answer."""
        return {"hello": "world"}

    app = create_app()
    scheme(app, "login", {"type": "http", "scheme": "bearer"}).append(lambda: 1)
    for name, asked in {
        "open": {},
        "reader": {"security": "login"},
        "token": {"scopes": ["read"]},
        "oidc": {"scopes": ["read"]},
    }.items():
        app.add_url_rule(f"/api/v1/{name}", name, operation(**asked)(answer), methods=["GET", "POST"])
    with app.app_context():
        Base.metadata.create_all(db.engine)
        TOKENS["token"], row = new("bench", ["read"], 1)
        row.used = row.expires  # Otherwise, one request a minute would note its use: in tests, at once.
        TOKENS["oidc"] = app.extensions["oidc"].sign("bench", "read")
        db.session.add(row)
        db.session.commit()
    return app


def flask():
    from flask import Flask

    app = Flask("bare")
    app.add_url_rule("/api/v1/open", "open", lambda: {"hello": "world"}, methods=["GET", "POST"])
    return app


def cors():
    from flask_cors import CORS

    app = flask()
    CORS(app, resources={"/api/*": {"origins": [ORIGIN, "https://other.example.com"]}})
    return app


def environment(case):
    method, _, name = case.partition(" ")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": f"/api/v1/{name.split()[0]}", "QUERY_STRING": ""}
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http"}
    environ |= {"wsgi.input": BytesIO(), "wsgi.errors": sys.stderr, "REMOTE_ADDR": "127.0.0.1", "SCRIPT_NAME": ""}
    environ |= {"HTTP_ORIGIN": ORIGIN} if "page" in name else {}
    environ |= {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PATCH"} if method == "OPTIONS" else {}
    return environ | ({"HTTP_AUTHORIZATION": f"Bearer {TOKENS[name]}"} if name in TOKENS else {})


def ask(app, environ):
    told = []
    response = app(environ, lambda status, headers, *_: told.append(status) or print)
    b"".join(response)
    if hasattr(response, "close"):
        response.close()
    assert told[0].startswith("2"), (environ, told)


def bytecodes(app, environ):
    counted = 0

    def trace(frame, event, _):
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        ask(app, environ)
    finally:
        sys.settrace(None)
    return counted


application = {"service": service, "flask": flask, "cors": cors}[sys.argv[1]]()
gc.disable()
for line in sys.stdin:
    case, _, count = line.rpartition(" ")
    environs = [environment(case) for _ in range(int(count))]
    started = process_time()
    for environ in environs:
        ask(application, environ)
    print(process_time() - started if environs else bytecodes(application, environment(case)), flush=True)
    gc.collect()
