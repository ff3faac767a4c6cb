"""Cached functions: what is kept, for how long, and who computes it."""

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Barrier, Event
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

Make = Callable[..., Flask]


def note(calls: list[int], value: Any) -> Any:
    """Count a call."""
    calls.append(1)
    return value


def test_a_value_is_kept(make: Make, cache: Any, clock: Any, results: list[str]) -> None:
    calls: list[str] = []

    def compute(day: str, factor: float = 1, *more: int, **named: bool) -> dict[str, Any]:
        """Say rates."""
        calls.append(day)
        return {"EUR": factor, "day": day, "more": [None, *more], "ä": [{"deep": True}]}

    rates = cache.cached(60, "rates")(compute)
    assert (rates.__name__, rates.__doc__) == ("compute", "Say rates.")
    with make().app_context():
        first = rates("monday")
        assert first == rates("monday", 1) == rates(day="monday") == {
            "EUR": 1, "day": "monday", "more": [None], "ä": [{"deep": True}]
        }  # fmt: skip
        first["EUR"] = 7  # Nobody else's.
        assert rates("monday")["EUR"] == 1
        assert calls == ["monday"]
        rates("tuesday"), rates("monday", 2), rates("monday", 1, 3), rates("monday", flag=True)
        assert len(calls) == 5
        clock.move(59)
        rates("monday")
        assert len(calls) == 5
        clock.move(2)
        rates("monday")
        assert len(calls) == 6
    assert results.count("miss") == 6


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, "\n", "x" * 100_000])
def test_every_json_is_kept(make: Make, cache: Any, value: Any) -> None:
    calls: list[int] = []
    function = cache.cached(60, "values")(lambda: note(calls, value))
    with make().app_context():
        assert [function(), function()] == [value, value]
    assert calls == [1]


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "value", [(1, 2), {1: 2}, datetime.now(UTC), UUID(int=1), Point(1), {1, 2}, float("nan"), b"x", object(), 2**70]
)
def test_what_json_would_change_is_refused_at_the_first_call(make: Make, cache: Any, value: Any) -> None:
    """And not at the second, when it would come back as something else."""
    function = cache.cached(60, "values")(lambda: value)
    with make().app_context():
        for _ in range(2):
            with pytest.raises(TypeError, match=r"JSON|str|range"):
                function()


def test_arguments_have_to_be_json(make: Make, cache: Any) -> None:
    with make().app_context(), pytest.raises(TypeError, match="JSON"):
        cache.cached(60, "one")(lambda each: 1)(object())


def test_values_are_forgotten(make: Make, cache: Any) -> None:
    calls: list[str] = []

    def compute(day: str) -> str:
        calls.append(day)
        return day

    rates = cache.cached(60, "rates")(compute)
    with make().app_context():
        rates("monday"), rates("tuesday")
        rates.forget("monday")
        rates("monday"), rates("tuesday")
        assert calls == ["monday", "tuesday", "monday"]
        rates.forget_all()
        rates("monday"), rates("tuesday")
        assert calls[3:] == ["monday", "tuesday"]
        rates.forget("sunday")


@pytest.mark.parametrize("forget", [lambda rates: rates.forget("monday"), lambda rates: rates.forget_all()])
def test_what_is_being_computed_is_forgotten_too(make: Make, cache: Any, forget: Callable[[Any], None]) -> None:
    """It was read before the change, and would be kept after it."""
    values = ["old", "new"]

    def compute(day: str) -> str:
        value = values.pop(0)
        if value == "old":
            forget(rates)
        return value

    rates = cache.cached(60, "rates")(compute)
    with make().app_context():
        assert [rates("monday") for _ in range(3)] == ["old", "new", "new"]


def test_names_tell_values_apart(make: Make, cache: Any) -> None:
    values = [1, 2, 3]
    one, same, other = (cache.cached(60, name)(lambda: values.pop(0)) for name in ("a", "a", "b"))
    with make().app_context():
        assert [one(), same(), other()] == [1, 1, 2]


def test_a_function_within_another_needs_a_name(cache: Any) -> None:
    """Otherwise, all that the outer function makes would share their values."""
    with pytest.raises(TypeError, match="name="):
        cache.cached(60)(lambda: 1)


def test_services_have_entries_of_their_own(make: Make, cache: Any) -> None:
    values = [1, 2]
    function = cache.cached(60, "values")(lambda: values.pop(0))
    one, other = make(), make()
    other.name = "other"
    with one.app_context():
        assert function() == 1
    with other.app_context():
        assert function() == 2


# --- many at once ---


def ask(app: Flask, function: Callable[[], Any], count: int) -> list[Any]:
    """What many threads got, or the exceptions."""
    barrier = Barrier(count)

    def one(_: int) -> Any:
        barrier.wait()
        with app.app_context():
            try:
                return function()
            except ValueError as error:
                return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_one_computes_for_all(make: Make, cache: Any, clock: Any) -> None:
    calls: list[int] = []

    def compute() -> int:
        calls.append(1)
        sleep(0.2)
        return len(calls)

    slow = cache.cached(60, "slow")(compute)
    app = make(WEB_THREADS=100)
    assert ask(app, slow, 100) == [1] * 100
    clock.move(61)
    assert ask(app, slow, 100) == [2] * 100
    assert len(calls) == 2


def test_after_a_failure_the_next_computes(make: Make, cache: Any) -> None:
    calls: list[int] = []

    def compute() -> int:
        calls.append(1)
        sleep(0.05)
        if len(calls) < 3:
            raise ValueError(len(calls))
        return len(calls)

    failing = cache.cached(60, "failing")(compute)
    found = ask(make(), failing, 8)
    assert len([each for each in found if isinstance(each, ValueError)]) == 2
    assert found.count(3) == 6
    assert len(calls) == 3


def test_one_that_hangs_holds_nobody_up_for_long(make: Make, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "HOLD", 0.3)
    hangs, calls = Event(), []

    def compute() -> int:
        calls.append(1)
        if len(calls) == 1:
            hangs.wait(30)
        return len(calls)

    slow = cache.cached(60, "slow")(compute)
    app = make()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, app, slow, 1)
        while not calls:
            sleep(0.01)
        try:
            found = ask(app, slow, 4)
            assert min(found) >= 2
        finally:
            hangs.set()
        first.result()


# --- in the process ---


def test_applications_have_caches_of_their_own(probe: Callable[..., Flask], cache: Any) -> None:
    values = [1, 2]
    function = cache.cached(60, "values")(lambda: values.pop(0))
    for app in (probe("extensions.cache"), probe("extensions.cache")):
        with app.app_context():
            function(), function()
    assert values == []


def test_a_process_keeps_no_more_than_it_may(probe: Callable[..., Flask], cache: Any) -> None:
    calls: list[int] = []

    def compute(number: int, size: int = 10_000) -> str:
        calls.append(number)
        return "x" * size

    text = cache.cached(60, "text")(compute)
    app = probe("extensions.cache", CACHE_SIZE=100_000)
    with app.app_context():
        for number in range(100):
            text(number)
        store = app.extensions["cache"].store
        assert store.entries.currsize <= 100_000
        gc.collect()
        assert len(store.entries) < 40
        text(99)
        assert len(calls) == 100
        text(0)
        assert len(calls) == 101
        assert [len(text(0, 200_000)) for _ in range(2)] == [200_000] * 2  # Larger than all: not kept.
        assert len(calls) == 103
