from importlib import import_module
from types import ModuleType


def test_ids_sort_by_the_time(package: ModuleType) -> None:
    store = import_module(".blueprints.example.store", package.__name__)
    first, second = store.new_id(), store.new_id()
    assert (first.version, second.version) == (7, 7)
    assert first.int >> 62 <= second.int >> 62
