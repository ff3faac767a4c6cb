"""A call to another service: by a client as a service has it, beside bare urllib3 with the same request and decoder.

Over one connection, in one process, in turns. Then the same service called in the process of its caller, and apart. With an
argument, this is the program that measures, in the environment of services.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any

ROUNDS = 40
#: Calls a turn.
COUNT = 100
MOST = 1.3
BODY = b'{"id":1,"title":"x","text":"yyyyyyyyyyy"}'


def answer(listener: socket.socket) -> None:
    """Answer each request that arrives with the same bytes: what is measured is who asks."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(65536):
            connection.sendall(head + BODY)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=[connection], daemon=True).start()


def inside(turns: int) -> None:
    """Print the microseconds of each turn, on the clock and of the CPU, by contender."""
    import flask_service
    import msgspec
    from flask_service.extensions import http_client
    from urllib3 import connection_from_url

    listener = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        answer(listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    quiet = {"APP_ENV": "testing", "LOG_LEVEL": "warning"}
    apart = f"http://127.0.0.1:{os.environ['PORT']}"
    urls = {"NOTES_URL": url, "APART_URL": apart, "TOGETHER_URL": "wsgi://flask_service", "TOGETHER_SETTINGS": quiet}
    limits = {f"{name}_TIMEOUT": 5.0 for name in ("NOTES", "APART", "TOGETHER")}
    app = flask_service.create_app(quiet | urls | limits)
    for name in ("notes", "apart", "together"):
        http_client.call_peer(app, name)
    peers = app.extensions["http_client"].peers
    peer = peers["notes"]
    command = [sys.executable, "-m", "flask_service", "serve"]
    serving = subprocess.Popen(command, env=os.environ | quiet | {"WEB_CONCURRENCY": "1"}, stderr=subprocess.DEVNULL)
    while True:
        try:
            peers["apart"].ready()
            break
        except http_client.UnreachableError:
            sleep(0.05)

    class Note(msgspec.Struct):
        id: int
        title: str
        text: str

    class Index(msgspec.Struct):
        service: str

    pool = connection_from_url(url)
    decode = msgspec.json.Decoder(Note).decode
    contenders: dict[str, Callable[[], Any]] = {
        "client": lambda: peer.call("GET", "/notes/{note_id}", {"note_id": 1}).json(Note),
        "bare": lambda: decode(pool.request("GET", "/notes/1", headers={"Accept": "application/json"}).data),
        "together": lambda: peers["together"].call("GET", "/").json(Index),
        "apart": lambda: peers["apart"].call("GET", "/").json(Index),
    }
    measured: dict[str, dict[str, list[float]]] = {what: {name: [] for name in contenders} for what in ("clock", "cpu")}
    for number in range(turns + 2):  # The first two warm up.
        for name, call in sorted(contenders.items(), reverse=number % 2 > 0):
            clock, cpu = perf_counter(), process_time()
            for _ in range(COUNT):
                assert call()
            measured["clock"][name].append((perf_counter() - clock) / COUNT * 1e6)
            measured["cpu"][name].append((process_time() - cpu) / COUNT * 1e6)
    serving.terminate()
    print(json.dumps({what: {name: found[2:] for name, found in told.items()} for what, told in measured.items()}))


def main() -> None:
    from manifest import answers_of
    from measure import Goal, Ratio, Table, make, rounds, save, services_environment, settings
    from running import clean_environment, free_port

    service = make("peers", **answers_of("minimal") | {"http_client": "yes"})
    env = clean_environment(**settings(service) | {"PORT": str(free_port())})
    command = [services_environment() / "python", __file__, "--inside", str(rounds(ROUNDS))]
    process = subprocess.Popen(command, cwd=service, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    measured = json.loads(process.stdout.readline())
    os.killpg(process.pid, 15)
    process.wait()
    ratios = {what: Ratio.of(turns["client"], turns["bare"]) for what, turns in measured.items()}
    rows = [
        [what, str(ratios[what]), *(f"{median(turns[who]):.0f}" for who in ("client", "bare"))]
        for what, turns in measured.items()
    ]
    note = (
        "The client takes along the request id and the deadline, limits the whole answer, watches for failures, and "
        "raises errors. Bare urllib3 has the same pool and the same decoder."
    )
    goals = [Goal("a call to another service, beside bare urllib3", ratios["cpu"], MOST)]
    bars = {"a call, CPU": ratios["cpu"].median}
    columns = ["", "time, ratio", "µs", "µs, bare urllib3"]
    calls = Table("A call to another service", note, columns, rows, bars)
    clock = measured["clock"]
    times = [f"{median(clock[who]):.0f}" for who in ("together", "apart")]
    note = (
        "By the same client, both sides on the clock: `wsgi://`, and `http://` over a kept connection to the server in a "
        "process of its own, on the same machine. Neither writes an access log."
    )
    row = ["a call", str(Ratio.of(clock["together"], clock["apart"])), *times]
    columns = ["", "time, ratio", "µs, in one process", "µs, apart"]
    save("peers", [calls, Table("A call to a service in the same process", note, columns, [row])], goals)


if __name__ == "__main__":
    inside(int(sys.argv[2])) if "--inside" in sys.argv else main()
