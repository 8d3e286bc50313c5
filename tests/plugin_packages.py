"""Plugins as third parties write them: packages made for a test, and the ones that the documentation shows."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SkipTest, SynchronousTestCase

NUMBERS = itertools.count()
DOCS = Path(__file__).parent.parent / "docs"


class PluginCase(SynchronousTestCase):
    """Makes packages of plugins."""

    def package(self, **sources: str) -> ModuleType:
        """A package whose modules are these."""
        folder = Path(self.mktemp()).absolute()
        name = f"plugins_{next(NUMBERS)}"
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
        for module, source in sources.items():
            (folder / name / f"{module}.py").write_text(source)
        self.patch(sys, "path", [str(folder), *sys.path])
        importlib.invalidate_caches()
        return importlib.import_module(name)


def documented(page: str) -> str:
    """The plugin that a page of the documentation shows first; skips where the documents aren't."""
    path = DOCS / page
    if not path.exists():
        raise SkipTest("the documents aren't here")
    return re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]  # type: ignore[no-any-return]
