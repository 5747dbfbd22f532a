"""The registry of adapters.

An adapter is a module of ``pipeline.providers.adapters``, found by its name. A package of another
project adds one by an entry point of the group ``khronika.adapters``.
"""

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points

from pipeline.providers import adapters
from pipeline.providers.base import Adapter

GROUP = "khronika.adapters"


class AdapterUnknown(Exception):
    """No adapter has this name; the message lists the names that there are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no adapter {name!r}; there are {', '.join(adapter_names())}")


def adapter_names() -> list[str]:
    """Return the names of all adapters."""
    ours = {module.name for module in pkgutil.iter_modules(adapters.__path__)}
    return sorted(ours | {point.name for point in entry_points(group=GROUP)})


def adapter_named(name: str) -> Adapter:
    """Return an adapter's declaration.

    Raises:
        AdapterUnknown: no adapter has this name.
    """
    if name in {module.name for module in pkgutil.iter_modules(adapters.__path__)}:
        module = import_module(f"{adapters.__name__}.{name}")
        declared: Adapter = module.ADAPTER
        return declared
    for point in entry_points(group=GROUP, name=name):
        adapter: Adapter = point.load()
        return adapter
    raise AdapterUnknown(name)
