"""A fleet of services, as one file says: which there are, what their answers have in common, and who calls whom.

Usage: fleet.py sync | run | update | check | status [FILE]

FILE is fleet.toml, unless told otherwise; the services are folders beside it, each a git repository of its own, or all
in the one that FILE is in: one_repository = true.

sync    makes services that are missing, changes the answers of those whose answers in FILE have changed, and writes
        clients of the services that each calls, from their contracts; and for all, catalog-info.yaml and compose.yaml
run     starts all for development, with one address for all; Ctrl-C ends them
update  merges what has changed in the template into a branch of each, template-update, and checks it there
check   runs `make check` in each, and names what breaks between them
status  says how far behind the template each is, which answers differ from FILE, and what breaks between them: lines
        that call an operation of another service whose contract no longer keeps what the client was made from
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, NoReturn

from fleet_files import there, write_files
from generate import RECORD, as_text, read

TEMPLATE = Path(__file__).parent.resolve()
#: The branch with an update of the template.
BRANCH = "template-update"
#: The program that compares contracts, for which the standard library is enough.
CHANGES = TEMPLATE / "{{cookiecutter.project_slug}}/tools/api/changes.py"
#: What is told of a service that was left alone.
NOTHING = "as it was"
#: Set when the user ends the command; the programs that it has started are ended then, too.
STOPPED = Event()
STARTED: set[subprocess.Popen[str]] = set()
#: Run by the Python of a service: one address for all, a prefix for each.
GATEWAY = """
import json, sys
from werkzeug.exceptions import NotFound
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.serving import run_simple

targets = {
    f"/{name}/": {"target": url, "remove_prefix": True, "host": None, "headers": {"X-Forwarded-Prefix": f"/{name}"}}
    for name, url in json.loads(sys.argv[2]).items()
}
run_simple("127.0.0.1", int(sys.argv[1]), ProxyMiddleware(NotFound(), targets), threaded=True)
"""


@dataclass(eq=False)
class Service:
    """One service of the fleet."""

    name: str
    folder: Path
    answers: dict[str, str]
    calls: list[str]
    port: int
    #: Whether its repository has the other services as well.
    shared: bool

    @cached_property
    def package(self) -> str:
        made = self.recorded() if (self.folder / RECORD).exists() else {}
        return self.answers.get("package_name") or made.get("package_name") or self.name.replace("-", "_")

    @property
    def contract(self) -> Path:
        """What this service promises to those who call it."""
        return self.folder / "openapi.json"

    def recorded_of(self, peer: "Service") -> Path:
        """What this service knows of another one that it calls."""
        return self.folder / "src" / self.package / "clients" / peer.package / "openapi.json"

    def must_be_made(self) -> None:
        """Refuse a folder in which git would change another repository, or which the template has not made."""
        if not self.folder.exists():
            raise FailedError("it is not made: fleet.py sync")
        if not ((self.folder / RECORD).exists() and (self.shared or (self.folder / ".git").exists())):
            raise FailedError(f"{self.folder} has no {RECORD} or no .git: it is no service of a template, move it")

    def save(self, message: str) -> None:
        """Commit what is in its folder."""
        git(self.folder, "add", "--all", ".")
        if git(self.folder, "diff", "--cached", "--name-only", "--", "."):
            message = f"{self.name}: {message}" if self.shared else message
            git(self.folder, "commit", "--quiet", "--message", message, "--", ".")

    def recorded(self) -> dict[str, str]:
        """The answers that the service has."""
        made = read((self.folder / RECORD).read_text(encoding="utf-8"), f"{self.folder / RECORD}")
        try:
            return {name: str(answer) for name, answer in made["context"]["cookiecutter"].items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise FailedError(f"{self.folder / RECORD} is broken: {error!r}") from None

    def differing(self) -> dict[str, str]:
        """The answers that the file has changed. What a preset answers is for services that are new."""
        recorded = self.recorded()
        return {name: text for name, text in self.answers.items() if name != "preset" and recorded.get(name) != text}


@dataclass
class Fleet:
    """What the file says, the services in an order in which those that are called come first."""

    services: list[Service]
    template: str
    port: int
    file: Path
    #: Whether all services are folders of the repository that the file is in.
    one_repository: bool

    def peers(self, service: Service) -> list[Service]:
        return [peer for peer in self.services if peer.name in service.calls]

    def outdated(self, service: Service) -> list[Service]:
        """Those that a service calls whose contracts its clients do not know yet."""
        found = []
        for peer in self.peers(service):
            if not peer.contract.exists():
                raise FailedError(f"{peer.name} has no openapi.json: answer api = true for it")
            recorded = service.recorded_of(peer)
            if not (recorded.exists() and recorded.read_bytes() == peer.contract.read_bytes()):
                found.append(peer)
        return found

    def clients(self, service: Service) -> list[str]:
        """Write these clients, and name whom they call."""
        outdated = self.outdated(service)
        if outdated:
            # The Python of the service looks whether they can be imported.
            run(service.folder, "make", "--silent", ".venv/ready", CI="")
        for peer in outdated:
            program = [".venv/bin/python", "-B", str(TEMPLATE / "client.py"), "--", str(peer.contract), peer.package]
            run(service.folder, *program)
        return [peer.name for peer in outdated]

    def broken(self, service: Service) -> list[str]:
        """The lines of a service that call an operation of another one which breaks what this service knows of it."""
        found = []
        for peer in self.peers(service):
            if not (service.recorded_of(peer).exists() and peer.contract.exists()):
                continue
            command = [sys.executable, str(CHANGES), str(service.folder), str(peer.contract)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and not done.stdout:  # One of them is no contract.
                raise FailedError(last(done.stderr))
            found += done.stdout.splitlines() if done.returncode else []
        return found


def load(path: Path) -> Fleet:
    """Read the file.

    :raises SystemExit: with a line for each thing that is wrong.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{path}: {error}")
    common, named, first = told.pop("answers", {}), told.pop("services", {}), told.pop("first_port", 8000)
    template, shared = told.pop("template", str(TEMPLATE)), told.pop("one_repository", False)
    problems = [
        f"{name}: there is no such setting; there are answers, first_port, one_repository, services, template."
        for name in told
    ]
    if shared not in (True, False):
        problems.append("one_repository is true or false.")
    if not (isinstance(common, dict) and isinstance(template, str) and template):
        stop(f"{path}: answers is a table, template a text.")
    if not (type(first) is int and isinstance(named, dict) and named):  # True is an int, too.
        stop(f"{path} names no services: write [services.orders], and a number as first_port.")
    services: list[Service] = []
    for number, (name, said) in enumerate(named.items()):
        if not isinstance(said, dict):
            stop(f"services.{name} is a table: write [services.{name}].")
        answers, calls, port = said.pop("answers", {}), said.pop("calls", []), said.pop("port", first + 1 + number)
        listed = isinstance(calls, list) and all(isinstance(peer, str) for peer in calls)
        if not (isinstance(answers, dict) and listed and type(port) is int):
            at = f"services.{name}"
            stop(f"{at}.calls is a list of names, {at}.answers a table, {at}.port a number.")
        problems += [f"services.{name}.{word}: there are answers, calls and port." for word in said]
        problems += [f"{name} calls {peer}, which is no service of this fleet." for peer in calls if peer not in named]
        try:
            of_callers = {"http_client": "yes"} if calls else {}
            given = as_text(of_callers | common | answers)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        if (slug := given.setdefault("project_slug", name)) != name:
            problems.append(f"{name}: its project_slug is {slug}: call the service that.")
        # What hooks/pre_gen_project.py says of a slug, before there is a folder of that name, or a log.
        if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 50:
            rule = "use lower-case letters, digits and single hyphens, a letter first, at most 50 in all"
            problems.append(f"services.{json.dumps(name)}: {rule}.")
        if calls and given["http_client"] == "no":
            problems.append(f"{name} calls others: do not answer http_client = false.")
        services.append(Service(name, path.resolve().parent / name, given, calls, port, shared))
    for name, port in [("The one address", first), *((each.name, each.port) for each in services)]:
        if not 0 < port < 65536:
            problems.append(f"{name}: port {port} is none: write one from 1 to 65535.")
        elif name in named and port == first:
            problems.append(f"{name}: port {port} is that of the one address, first_port.")
    for one, word in ((lambda each: each.package, "package"), (lambda each: each.port, "port")):
        problems += same(services, one, word)
    if problems:
        stop(*problems)
    try:
        order = [*TopologicalSorter({each.name: each.calls for each in services}).static_order()]
    except CycleError as error:
        stop(f"These services call each other: {' -> '.join(reversed(error.args[1]))}")
    return Fleet(sorted(services, key=lambda each: order.index(each.name)), template, first, path.resolve(), shared)


def same(services: list[Service], value: Callable[[Service], object], word: str) -> Iterable[str]:
    """Name services that have the same of something."""
    found: dict[object, list[str]] = {}
    for service in services:
        found.setdefault(value(service), []).append(service.name)
    return [f"{' and '.join(names)} have the same {word}, {key}." for key, names in found.items() if names[1:]]


def sync(fleet: Fleet) -> int:
    """Make the services what the file says; what a service calls is there before it."""
    there(fleet)
    if fleet.one_repository:
        check_repository(fleet.file.parent)
    # What is done in order waits more: for others, and for packages.
    at_once = 1 if fleet.one_repository else 4
    results = each(fleet.services, lambda service: make(fleet, service), at_once, in_order=True)
    table(["service", "sync"], results)
    if not all(done for done, *_ in results):
        return 1
    written = write_files(fleet)
    for name in written:
        print(f"{name} is {'written' if (fleet.file.parent / name).exists() else 'removed'}.")
    if written and fleet.one_repository:
        git(fleet.file.parent, "add", "--", *written)
        git(fleet.file.parent, "commit", "--quiet", "--message", "Write what is of all services", "--", *written)
    return 0


def check_repository(folder: Path) -> None:
    try:
        git(folder, "rev-parse", "--quiet", "--verify", "HEAD")
    except FailedError:
        stop(f"one_repository: {folder} is in no git repository that has a commit: git init there, and commit.")
    try:
        clean(folder, untracked="no")
    except FailedError as error:
        stop(f"{folder}: {error}")


def make(fleet: Fleet, service: Service) -> str:
    """Make a service, or change its answers, write its clients, and what the first `make` writes.

    A service that cannot be made leaves no folder, and one that cannot be changed stays as it was.
    """
    if not service.folder.exists():
        before = git(fleet.file.parent, "rev-parse", "HEAD") if service.shared else ""
        generate(fleet, service)
        try:
            if not service.shared:
                git(service.folder, "init", "--quiet", "-b", "main")
            service.save("As generated")  # Updates need it untouched.
            called = fleet.clients(service)
            first_make(service)
            service.save("What the first make writes" + ", and clients" * bool(called))
        except (OSError, ValueError):
            if before:
                undo(fleet.file.parent, ["reset", "--quiet", before])
            shutil.rmtree(service.folder, ignore_errors=True)
            raise
        return f"made, calls {', '.join(called)}" if called else "made"
    service.must_be_made()
    told = []
    differing = service.differing()
    if differing or not (service.folder / ".venv/ready").exists():
        with whole(service.folder):
            if differing:
                merge_template(service.folder, ANSWERS=json.dumps(differing))
                service.save(f"Change answers: {', '.join(differing)}")
                told.append(f"changed {', '.join(differing)}")
            first_make(service)
            service.save("What the first make writes")
    if fleet.outdated(service):
        with whole(service.folder):
            called = fleet.clients(service)
            if service.contract.exists():
                run(service.folder, "make", "--silent", "openapi", CI="")
            service.save(f"Call {' and '.join(called)} as their contracts say")
        told.append(f"calls {', '.join(called)}")
    return ", ".join(told) or NOTHING


def generate(fleet: Fleet, service: Service) -> None:
    """Write a service as the template has it; what fails leaves no folder."""
    with TemporaryDirectory(dir=service.folder.parent, prefix=".making-") as folder:
        answers = Path(folder, "answers.json")
        named = {"project_name": service.name.replace("-", " ").capitalize()} | service.answers
        answers.write_text(json.dumps(named), encoding="utf-8")
        program = [sys.executable, str(TEMPLATE / "generate.py"), "--template", fleet.template, "--output-dir", folder]
        run(Path(folder), *program, str(answers))
        Path(folder, service.name).rename(service.folder)


def first_make(service: Service) -> None:
    """Write exact versions, the contract, the first migration. CI itself writes none of them."""
    run(service.folder, "make", "--silent", "test", "ARGS=--version", CI="")


def start(fleet: Fleet) -> int:
    """Start all; the status is that of the first that ends by itself."""
    problems = []
    for name, port in [("the gateway", fleet.port), *((service.name, service.port) for service in fleet.services)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                problems.append(f"{name}: port {port} cannot be taken, {error.strerror}: free it, or name another one.")
    for service in fleet.services:
        try:
            service.must_be_made()
            if not (service.folder / ".venv/bin/python").exists():
                raise FailedError("it has no .venv: fleet.py sync")
        except FailedError as error:
            problems.append(f"{service.name}: {error}")
    if problems:
        stop(*problems)
    urls = {service.name: f"http://127.0.0.1:{service.port}" for service in fleet.services}
    trusting = {"TRUSTED_PROXIES": "1", "TRUSTED_PROXY_HEADERS": "prefix", "PROXY_STRIPS_UNDERSCORES": "true"}
    processes = {}
    try:
        for service in fleet.services:
            peers = {f"{peer.package.upper()}_URL": urls[peer.name] for peer in fleet.peers(service)}
            environment = outer() | trusting | peers
            command = ["make", "--silent", "run", f"PORT={service.port}"]
            processes[service.name] = subprocess.Popen(
                command, cwd=service.folder, env=environment, start_new_session=True
            )
        python = fleet.services[0].folder.resolve() / ".venv/bin/python"
        command = [str(python), "-c", GATEWAY, str(fleet.port), json.dumps(urls)]
        processes["the gateway"] = subprocess.Popen(command, env=outer(), start_new_session=True)
        for name, url in urls.items():
            print(f"{name}: http://127.0.0.1:{fleet.port}/{name}/, {url}", flush=True)
        while not STOPPED.is_set():
            for name, process in processes.items():
                if process.poll() is not None:
                    print(f"{name} has ended with status {process.returncode}: the others are stopped.")
                    return 1
            STOPPED.wait(0.2)
        return 0
    finally:
        for process in processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)


def update(fleet: Fleet) -> int:
    results = each(fleet.services, merge, 1 if fleet.one_repository else 2)
    table(["service", "update"], results)
    return any(not done for done, *_ in results)


def merge(service: Service) -> str:
    """Merge the template into a branch, and check it there. The branch that was checked out is left as it was."""
    service.must_be_made()
    folder = service.folder
    branch, new = clean(folder), f"{BRANCH}-{service.name}" if service.shared else BRANCH
    if git(folder, "branch", "--list", new):
        raise FailedError(f"it has a branch {new}: merge it, or delete it")
    try:
        git(folder, "switch", "--quiet", "--create", new)
        with whole(folder):
            if "nothing to update" in merge_template(folder):
                return "up to date"
            files = len(git(folder, "diff", "--cached", "--name-only").splitlines())
            run(folder, "make", "--silent", "check", CI="")  # It writes exact versions too.
            service.save("Take over changes of the template")
            return f"{files} files on {new}, checked"
    finally:
        undo(folder, ["switch", "--quiet", branch])
        # Git deletes only a branch that holds nothing more.
        undo(folder, ["branch", "--quiet", "--delete", new])


def merge_template(folder: Path, **variables: str) -> str:
    """Merge what has changed in the template, or what other answers change, and stage it."""
    try:
        told = run(folder, sys.executable, str(TEMPLATE / "update.py"), str(TEMPLATE), **variables)
    except FailedError as error:
        if STOPPED.is_set() or not (files := git(folder, "diff", "--name-only", "--diff-filter=U").splitlines()):
            raise
        told = f"conflicts in {', '.join(files)}: make update there, and resolve them"
        raise FailedError(told, error.output) from None
    # All of the template is staged. What is not was ignored before: a database, or what is secret.
    if bare := git(folder, "ls-files", "--others", "--exclude-standard").splitlines():
        raise FailedError(f"git would no longer ignore {', '.join(bare)}: move them, or add them to its .gitignore")
    return told


def check(fleet: Fleet) -> int:

    def tell(service: Service) -> str:
        service.must_be_made()
        return summary(run(service.folder, "make", "--silent", "check"))

    results = each(fleet.services, tell)
    table(["service", "check"], results)
    return tell_broken(fleet) or any(not done for done, *_ in results)


def tell_broken(fleet: Fleet) -> bool:
    """Name what services use of others that no longer keep what they have promised."""
    broken = []
    for service in fleet.services:
        try:
            broken += fleet.broken(service)
        except FailedError as error:
            broken.append(f"{service.name}: {error}")
    print(*broken, sep="\n", end="\n" if broken else "")
    return bool(broken)


def status(fleet: Fleet) -> int:
    """Say of each how far it is behind, by its last commit; nothing is changed."""

    def tell(service: Service) -> tuple[str, ...]:
        if not service.folder.exists():
            return "not made", "", ""
        service.must_be_made()
        command = [sys.executable, str(TEMPLATE / "update.py"), str(TEMPLATE), "--check=json"]
        done = subprocess.run(command, cwd=service.folder, env=outer(), capture_output=True, text=True, check=False)
        if done.returncode > 2:
            raise FailedError(last(done.stderr))
        report = json.loads(done.stdout)
        behind = f"{report['behind']} commits, {len(report['files'])} files" if report["files"] else "up to date"
        return behind, ", ".join(service.differing()) or "as in the file", ", ".join(report["conflicts"]) or "none"

    results = each(fleet.services, tell)
    table(["service", "behind", "answers", "conflicts"], results)
    return tell_broken(fleet) or any(not done for done, *_ in results)


class FailedError(ValueError):
    """A command failed in a service: a line about it, and all that it printed."""

    def __init__(self, line: str, output: str = "") -> None:
        super().__init__(line)
        self.output = output


def each(
    services: list[Service], work: Callable[[Service], Any], at_once: int = 2, in_order: bool = False
) -> list[tuple[bool, str, Any]]:
    """Do the work in all services, and return of each whether it was done, its name, and what it told.

    :param at_once: how many services are worked on at a time.
    :param in_order: begin with a service when those that it calls are done.
    """

    def one(service: Service, before: list[Future[tuple[bool, str, Any]]]) -> tuple[bool, str, Any]:
        wait(before)
        failed = [name for done, name, _ in (future.result() for future in before) if not done]
        try:
            if STOPPED.is_set():
                raise FailedError("stopped")
            if failed:
                raise FailedError(f"it calls {', '.join(failed)}, which failed")
            return True, service.name, work(service)
        except FailedError as error:
            told = f"FAILED: {error}"
            if error.output:
                log = service.folder.with_name(f"{service.name}.log")
                log.write_text(error.output, encoding="utf-8")
                told = f"FAILED, see {log.name}: {error}"
            return False, service.name, told
        except (OSError, ValueError) as error:
            return False, service.name, f"FAILED: {error}"

    futures: dict[str, Future[tuple[bool, str, Any]]] = {}
    with ThreadPoolExecutor(at_once) as pool:
        for service in services:
            # Called services come first, so that none waits for one that has not begun.
            before = [futures[name] for name in service.calls] if in_order else []
            futures[service.name] = pool.submit(one, service, before)
        return [future.result() for future in futures.values()]


def table(heads: list[str], results: list[tuple[bool, str, Any]]) -> None:
    rows = [heads, *([name, *([told] if isinstance(told, str) else told)] for _, name, told in results)]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(heads))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())


def outer() -> dict[str, str]:
    """The environment without what git and make tell the programs that they start."""
    return {name: value for name, value in os.environ.items() if not re.match("GIT_(DIR|INDEX|WORK)|MAKE|MFLAGS", name)}


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command and return what it prints.

    :raises FailedError: with the last line that it prints, if its status is not 0.
    """
    if STOPPED.is_set():
        raise FailedError("stopped")
    # Of a session of its own: Ctrl-C is for the fleet, which ends its programs itself.
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=outer() | variables,
        stdout=subprocess.PIPE,
        # In the order in which the programs of make print: what a log says comes before the tests that fail.
        stderr=subprocess.STDOUT if command[0] == "make" else subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.add(process)
    if STOPPED.is_set():  # In between.
        end()
    printed, problems = process.communicate()
    STARTED.discard(process)
    if STOPPED.is_set():
        raise FailedError("stopped")
    if process.returncode:
        told = printed + (problems or "")
        raise FailedError(f"{' '.join(Path(word).name for word in command[:3])}: {last(told)}", told)
    return printed


def end(*_: object) -> None:
    """End what runs; each service is then left as it was."""
    STOPPED.set()
    for process in [*STARTED]:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Leave a service as it was if anything fails. It has to be clean, so that nothing of its owner's is lost."""
    clean(folder)
    before = git(folder, "rev-parse", "HEAD")
    try:
        yield
    except (OSError, ValueError):
        # No other folder of the repository is touched.
        back = ["restore", "--source", before, "--staged", "--worktree", "."]
        undo(folder, back, ["reset", "--soft", before], ["clean", "--force", "-d", "--quiet"])
        raise


def undo(folder: Path, *commands: list[str]) -> None:
    """Run git, also after Ctrl-C."""
    for command in commands:
        subprocess.run(
            ["git", *command], cwd=folder, env=outer(), capture_output=True, check=False, start_new_session=True
        )


def summary(text: str) -> str:
    """What pytest says last, whatever other programs say after it."""
    found = re.findall("^=+ (.*) =+$", text, re.MULTILINE)
    return found[-1] if found else last(text)


def last(text: str) -> str:
    """The last line that says something; what make adds to a failure says nothing."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("make")]
    return lines[-1].strip("= ") if lines else ""


def git(folder: Path, *arguments: str) -> str:
    return run(folder, "git", *arguments).strip()


def clean(folder: Path, untracked: str = "normal") -> str:
    """Refuse to commit what somebody works on, or where no branch keeps it; return the branch.

    :param untracked: `no` where there may be files that git does not know.
    """
    changed = git(folder, "status", "--porcelain", "--untracked-files=no", ":/")
    if changed or git(folder, "status", "--porcelain", f"--untracked-files={untracked}", "."):
        raise FailedError("it has changes that are not committed: commit or stash them first")
    if branch := git(folder, "branch", "--show-current"):
        return branch
    raise FailedError("no branch is checked out: git switch to one first")


def stop(*lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(2)


def main() -> int:
    commands = {"sync": sync, "run": start, "update": update, "check": check, "status": status}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in commands:
        stop(str(__doc__).split("\n\n")[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        return commands[sys.argv[1]](load(Path(*sys.argv[2:] or ["fleet.toml"])))
    except (OSError, ValueError) as error:
        stop(str(error))


if __name__ == "__main__":
    sys.exit(main())
