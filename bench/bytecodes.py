"""What a request costs in bytecodes and CPU: of what is always there, and of each option, configured and not.

Without a server: processes that answer requests by WSGI, in turns.
"""

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from manifest import OPTIONS, QUESTIONS, answers_of, chosen
from measure import (
    CONTENDERS,
    TEMPLATE,
    Goal,
    Ratio,
    Table,
    additions,
    interleave,
    make,
    receiver,
    save,
    services_environment,
    settings,
    variants,
)
from running import clean_environment

ROUNDS, REQUESTS = 15, 500
BARE = "bare Flask"


@dataclass
class Inside:
    """A process that answers when it is asked to."""

    process: subprocess.Popen[str]
    bytecodes: int = 0

    def ask(self, requests: int) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{requests}\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        assert told, f"{self.process.args} has ended"
        return told

    def cpu(self) -> float:
        """Microseconds of CPU a request."""
        return float(self.ask(REQUESTS)) / REQUESTS * 1e6


def start(stack: ExitStack, package: str, folder: Path, **variables: str) -> Inside:
    env = clean_environment(**variables)
    env["PYTHONPATH"] = f"{TEMPLATE / 'tests'}:{env.get('PYTHONPATH', '')}"
    command = [services_environment() / "python", CONTENDERS / "inside.py", package]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, text=True)
    stack.callback(process.wait, 10)
    stack.callback(process.kill)
    inside = Inside(process)
    inside.bytecodes = int(inside.ask(0))
    inside.cpu()
    return inside


def main() -> None:
    minimal, options = answers_of("minimal"), additions("minimal")
    with ExitStack() as stack:

        def service(name: str, answers: dict[str, str], **configured: str) -> Inside:
            folder = make(name.replace(" ", "-"), **answers)
            return start(stack, "flask_service", folder, **settings(folder, **configured))

        contenders = {BARE: start(stack, "bare", CONTENDERS), "minimal": service("minimal", minimal)}
        bases = {}
        for label, name, configured in variants(options, stack.enter_context(receiver())):
            needed = _without(name, options[name])
            extra = sorted(chosen(needed) - chosen(minimal))
            bases[label] = f"minimal with {' and '.join(extra)}" if extra else "minimal"
            if bases[label] not in contenders:
                contenders[bases[label]] = service(bases[label], needed)
            contenders[label] = service(f"bytecodes {name}", options[name], **configured)
        cpu = interleave({label: inside.cpu for label, inside in contenders.items()}, ROUNDS)
    bare = contenders[BARE].bytecodes
    added = {label: contenders[label].bytecodes - contenders[base].bytecodes for label, base in bases.items()}
    free = [label for label, count in added.items() if not count]
    rows = [
        [
            label,
            f"{inside.bytecodes / bare:.3f}",
            str(inside.bytecodes),
            f"{added[label]:+d}" if label in added else "",
            str(Ratio.of(cpu[label], cpu[BARE])),
            f"{median(cpu[label]):.0f}",
        ]
        for label, inside in contenders.items()
        if label not in free
    ]
    always = contenders["minimal"].bytecodes / bare
    goals = [Goal("bytecodes of what is always there, beside bare Flask", Ratio(always, always, always), 1.25)]
    if idle := [count / bare for label, count in added.items() if "not configured" in label]:
        goals.append(
            Goal(
                "bytecodes of an option that is not configured, beside bare Flask",
                Ratio(max(idle), min(idle), max(idle)),
                0,
            )
        )
    table = Table(
        "A request, in bytecodes and in CPU",
        "How many bytecodes the interpreter executes for a small JSON answer, without a server, is the same in every run "
        "and on every machine; CPU is of the same request. Each option is added to `minimal`, with what it needs; one "
        "that has nothing to configure works as soon as it is chosen. The log is made and not kept. These add nothing to "
        f"a request that does not use them: {'; '.join(free)}.",
        ["", "bytecodes, ratio", "bytecodes", "added by the option", "CPU, ratio", "µs"],
        rows,
    )
    save("bytecodes", [table], goals, free=free)


def _without(name: str, answers: dict[str, str]) -> dict[str, str]:
    """The answers that an option needs, without itself."""
    question = OPTIONS[name].get("question", name)
    return answers | {question: answers_of("minimal")[question]} if question in QUESTIONS else answers


if __name__ == "__main__":
    main()
