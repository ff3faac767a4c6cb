"""Few sets of answers in which every pair of options occurs: both there, both away, and each without the other.

What is covered are options and not answers, because roles, such as ``store``, have no question of their own. A greedy
search makes 16 rows where a covering array of answers, with what roles lack added, had 28, in a second instead of
19. Each worker of pytest needs them, to know its tests: the first one keeps them in ``build/``.
"""

import hashlib
import json
import os
import random
from collections.abc import Iterable
from itertools import combinations

from manifest import ALWAYS, OPTIONS, QUESTIONS, TEMPLATE, allowed, chosen

#: Seeds of the searches, the best of which is taken: 1033 makes 16 rows of what there is, most make 18. Then, how many
#: rows are tried for each that is taken.
SEEDS = range(1031, 1035)
TRIED = 8
NAMES = sorted(OPTIONS.keys() - ALWAYS)
PAIRS = list(combinations(NAMES, 2))
#: Sets of options are numbers: the bit of an option says that it is there.
BIT = {name: 1 << place for place, name in enumerate(NAMES)}
ALL = sum(BIT.values())


def bits(names: Iterable[str]) -> int:
    return sum(BIT[name] for name in names if name in BIT)


#: What each answer brings.
BRINGS = {
    (question, answer): bits(chosen({question: answer})) for question in QUESTIONS for answer in QUESTIONS[question]
}
#: Of each option that has any: what it needs, and what it excludes.
RULES = [
    (BIT[name], bits(option.get("needs", ())), bits(option.get("excludes", ())))
    for name, option in OPTIONS.items()
    if option.get("needs") or option.get("excludes")
]


def brought(row: dict[str, str]) -> int:
    found = 0
    for answer in row.items():
        found |= BRINGS[answer]
    return found


def broken(there: int) -> int:
    """How many options miss what they need, or stand beside what they exclude."""
    return sum(1 for bit, needs, excludes in RULES if there & bit and (needs & ~there or excludes & there))


class Seen:
    """Which options occurred together: beside each option, there or away, what was there and what was away."""

    def __init__(self) -> None:
        self.beside = [([0, 0], [0, 0]) for _ in NAMES]

    def new(self, there: int) -> int:
        """How many pairs a row would add, each counted twice."""
        away, count = ALL & ~there, 0
        for place, states in enumerate(self.beside):
            were_there, were_away = states[there >> place & 1]
            count += (there & ~were_there).bit_count() + (away & ~were_away).bit_count()
        return count

    def add(self, there: int) -> None:
        for place, states in enumerate(self.beside):
            state = states[there >> place & 1]
            state[0] |= there
            state[1] |= ALL & ~there


def climb(seen: Seen, rng: random.Random) -> tuple[int, dict[str, str]]:
    """A row that adds many pairs: change one answer of a random row at a time, as long as that adds more."""
    row = {question: rng.choice(answers) for question, answers in QUESTIONS.items()}
    steps = [(question, answer) for question, answers in QUESTIONS.items() for answer in answers]

    def value(row: dict[str, str]) -> int:
        there = brought(row)
        return seen.new(there) - 10_000 * broken(there)

    best, before = value(row), None
    while best != before:
        before = best
        rng.shuffle(steps)
        for question, answer in steps:
            other = row | {question: answer}
            if (found := value(other)) > best:
                best, row = found, other
    return best, row


def search(rng: random.Random) -> list[dict[str, str]]:
    """Rows that cover all pairs, or almost all."""
    seen, rows = Seen(), []
    while (found := max((climb(seen, rng) for _ in range(TRIED)), key=lambda pair: pair[0]))[0] > 0:
        seen.add(brought(found[1]))
        rows.append(found[1])
    assert all(map(allowed, rows))
    return rows


def covered(rows: list[dict[str, str]]) -> set[tuple[str, str, bool, bool]]:
    """Which options these rows have and lack together."""
    return {(first, second, first in names, second in names) for names in map(chosen, rows) for first, second in PAIRS}


def kept() -> list[dict[str, str]]:
    """The best rows, from the file where they are kept for as long as nothing changes of what they are made of."""
    sources = [TEMPLATE / name for name in ("cookiecutter.json", "tests/covering.py", "tests/manifest.py")]
    made_of = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    file = TEMPLATE / f"build/covering/{made_of}.json"
    if not file.exists():
        found = (search(random.Random(seed)) for seed in SEEDS)
        best = max(found, key=lambda rows: (len(covered(rows)), -len(rows)))
        file.parent.mkdir(parents=True, exist_ok=True)
        # Another worker may read, or write the same.
        own = file.with_suffix(f".{os.getpid()}")
        own.write_text(json.dumps(best))
        own.replace(file)
    rows: list[dict[str, str]] = json.loads(file.read_text())
    return rows


ROWS = kept()
