"""A process that answers requests without a server, and tells what they cost: started by bytecodes.py.

Its argument is the name of a package, or "bare". It reads a number of requests a line, answers them,
and writes the seconds of CPU; at 0 it counts the bytecodes of one.
"""

import os
import sys
from importlib import import_module
from time import process_time

from flask import Flask
from opcodes import count
from werkzeug.test import EnvironBuilder

# Lines of the log are made, and written to where they cost least.
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
make = Flask if sys.argv[1] == "bare" else import_module(sys.argv[1]).create_app
app = make("bare") if sys.argv[1] == "bare" else make()
app.add_url_rule("/small", view_func=lambda: {"hello": "world"})
environ = EnvironBuilder("/small").get_environ()


def answer() -> None:
    body = app(dict(environ), lambda *_: print)
    b"".join(body)
    if hasattr(body, "close"):
        body.close()


for line in sys.stdin:
    requests = int(line)
    if requests:
        started = process_time()
        for _ in range(requests):
            answer()
        print(process_time() - started, flush=True)
    else:
        print(count((sys.argv[1] == "bare" and Flask("bare")) or import_module(sys.argv[1]).create_app()), flush=True)
