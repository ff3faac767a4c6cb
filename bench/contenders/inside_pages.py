"""A process that answers pages without a server, and tells what they cost: started by pages.py.

Its argument is ``service``, ``django`` or ``security`` (Flask-Security-Too), each with argon2 and SQLite. It reads a case
and a number of requests a line, answers them, and writes the seconds of CPU.
"""

import os
import re
import sys
import tempfile
from io import BytesIO
from time import process_time
from urllib.parse import urlencode

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"  # noqa: S105
HELLO = "<!doctype html><title>Hello</title><p>Hello{% if user.email %}, {{ user.email }}{% endif %}!</p>"

os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
folder = tempfile.TemporaryDirectory()
database = f"{folder.name}/bench.sqlite"


def service():
    from flask import render_template

    os.environ |= {"APP_ENV": "testing", "DATABASE_URL": f"sqlite:///{database}"}
    from flask_service import create_app
    from flask_service.blueprints.accounts import users
    from flask_service.extensions.accounts import passwords, throttle
    from flask_service.extensions.sqlalchemy import Base, db

    throttle.EACH = throttle.ACCOUNT = throttle.NETWORK = 10**9
    app = create_app()
    hello = app.jinja_env.from_string(HELLO)
    app.add_url_rule("/hello", view_func=lambda: render_template(hello, user=users.current_user or {"email": None}))
    with app.app_context():
        Base.metadata.create_all(db.engine)
        db.session.add(users.User(email=EMAIL, password=passwords.hash_password(PASSWORD)))
        db.session.commit()
    return app, "/accounts/sign-in", {"email": EMAIL}


def security():
    from flask import Flask, render_template
    from flask_security import FSQLALiteUserDatastore, Security, current_user, hash_password
    from flask_security.models import sqla
    from flask_sqlalchemy_lite import SQLAlchemy
    from flask_wtf import CSRFProtect
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    sqla.FsModels.set_db_info(base_model=Base)

    class Role(Base, sqla.FsRoleMixin):
        __tablename__ = "role"

    class User(Base, sqla.FsUserMixin):
        __tablename__ = "user"

    app, db = Flask("bench"), SQLAlchemy()
    app.config |= {
        "SECRET_KEY": "x" * 32,
        "SECURITY_PASSWORD_SALT": "x" * 32,
        "SQLALCHEMY_ENGINES": {"default": f"sqlite:///{database}"},
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    }
    CSRFProtect(app)
    db.init_app(app)
    datastore = FSQLALiteUserDatastore(db, User, Role)
    app.security = Security(app, datastore)
    hello = app.jinja_env.from_string(HELLO)
    app.add_url_rule("/hello", view_func=lambda: render_template(hello, user=current_user))
    with app.app_context():
        Base.metadata.create_all(db.engine)
        datastore.create_user(email=EMAIL, password=hash_password(PASSWORD))
        db.session.commit()
    return app, "/login", {"email": EMAIL}


def django():
    from django.conf import settings

    middleware = ["sessions.middleware.SessionMiddleware", "auth.middleware.AuthenticationMiddleware"]
    settings.configure(
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="x" * 50,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            f"django.contrib.{middleware[0]}",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            f"django.contrib.{middleware[1]}",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                    ],
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {
                                "hello": HELLO,
                                "login": "<!doctype html><title>Sign in</title><form method=post>"
                                "{% csrf_token %}{{ form }}<button>Sign in</button></form>",
                            },
                        )
                    ],
                },
            }
        ],
        LOGIN_REDIRECT_URL="/hello",
    )
    import django as module
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    module.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from django.shortcuts import render
    from django.urls import path

    User.objects.create_user(EMAIL, EMAIL, PASSWORD)
    globals()["urlpatterns"] = [
        path("hello", lambda request: render(request, "hello")),
        path("login", LoginView.as_view(template_name="login")),
    ]
    return get_wsgi_application(), "/login", {"username": EMAIL}


app, login, fields = {"service": service, "django": django, "security": security}[sys.argv[1]]()


class Browser:
    """Just enough of one: cookies, and the token of the last form."""

    def __init__(self):
        self.cookies, self.token = {}, {}

    def ask(self, path, data=None):
        body = urlencode(data | self.token).encode() if data else b""
        environ = {
            "REQUEST_METHOD": "POST" if data else "GET",
            "PATH_INFO": path,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "HTTP_ACCEPT": "text/html",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if self.cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told = []
        answer = app(environ, lambda *head: told.append(head))
        text = b"".join(answer).decode()
        if hasattr(answer, "close"):
            answer.close()
        (status, headers, *_) = told[0]
        for name, value in headers:
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.partition(";")[0]
        if found := re.search(r'name="(csrf\w+)"[^>]*value="([^"]+)"', text):
            self.token = {found[1]: found[2]}
        return int(status.split()[0]), text


def signed_in():
    browser = Browser()
    assert browser.ask(login)[0] == 200
    status, _ = browser.ask(login, fields | {"password": PASSWORD})
    assert status in (302, 303), status
    return browser


nobody, somebody, forms = Browser(), signed_in(), Browser()
forms.ask(login)
assert EMAIL in somebody.ask("/hello")[1]
assert EMAIL not in nobody.ask("/hello")[1]
assert forms.ask(login, fields | {"password": ""})[0] in (200, 422)


def sign_in():
    browser = Browser()
    browser.cookies, browser.token = dict(forms.cookies), dict(forms.token)
    assert browser.ask(login, fields | {"password": PASSWORD})[0] in (302, 303)


CASES = {
    "page": lambda: nobody.ask("/hello"),
    "page, signed in": lambda: somebody.ask("/hello"),
    "form": lambda: forms.ask(login),
    "form with a mistake": lambda: forms.ask(login, fields | {"password": ""}),
    "sign-in": sign_in,
}
for line in sys.stdin:
    case, _, count = line.strip().rpartition(" ")
    started = process_time()
    for _ in range(int(count)):
        CASES[case]()
    print(process_time() - started, flush=True)
