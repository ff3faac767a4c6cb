import json
import socket
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen


def test_address_cannot_be_forged(
    serve: Callable[..., Popen[bytes]], fetch: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    server = serve(TRUSTED_PROXIES="1")
    for name in "X-Forwarded-For", "X_Forwarded_For":
        fetch(f"/{name}", headers={name: "192.0.2.1"})
    server.terminate()
    assert server.wait(timeout=10) == 0
    lines = map(json.loads, (tmp_path / "server.log").read_text().splitlines())
    clients = {line["path"]: line["client"] for line in lines if line["event"] == "request"}
    assert clients["/X-Forwarded-For"] == "192.0.2.1", "what the trusted proxy says"
    assert clients["/X_Forwarded_For"] == "127.0.0.1", "what a client says past it"


def test_nothing_confidential_of_a_broken_request(
    serve: Callable[..., Popen[bytes]], port: int, tmp_path: Path
) -> None:
    serve()
    for broken in b"GET /?token=confidential\r\n\r\n", b"GET / HTTP/1.1\r\nBad Name: confidential\r\n\r\n":
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(broken)
            assert b" 400 " in connection.recv(1000)
    logged = (tmp_path / "server.log").read_text()
    assert logged.count("Invalid request from ip=127.0.0.1: Invalid HTTP") == 2
    assert "confidential" not in logged


def test_silent_connections_do_not_delay_the_end(
    serve: Callable[..., Popen[bytes]], fetch: Callable[..., tuple[int, str]], port: int
) -> None:
    """It rests on a method that Gunicorn does not document."""
    server = serve(STOP_TIMEOUT="30")
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        assert fetch("/livez")[0] == 200
        server.terminate()
        assert server.wait(timeout=15) == 0
