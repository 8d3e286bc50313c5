"""How a new configuration is put into force: all parts get ready first, then all work by it, or none."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.configuration.texts import Configuration
from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.schema import Control, GatewaySettings, Settings
from seg.gateway.reload import IReloadable, PreparedPart, PreparedReload, Reloader
from seg.gateway.reloadable import ReloadableParts


class ReloadTests(SynchronousTestCase):
    """`Reloader`."""

    def setUp(self) -> None:
        self.done: list[str] = []

    def part(self, name: str, error: BaseException | None = None) -> IReloadable:
        """One that writes down what is asked of it."""

        async def prepare(new: Configuration) -> PreparedPart:
            self.done.append(f"prepare {name}")
            if error is not None:
                raise error
            return PreparedPart(
                lambda: self.done.append(f"activate {name}"), lambda: self.done.append(f"discard {name}")
            )

        return prepare

    def prepare(self, *parts: IReloadable, new: Settings | None = None, old: Settings | None = None) -> Any:
        """What comes of it."""
        reloader = Reloader(parts, lambda: old or Settings())
        configuration = Configuration(new or Settings(), Destinations())
        return Deferred.fromCoroutine(reloader.prepare(configuration))

    def test_all_or_none(self) -> None:
        """No part works by it before all are ready."""
        ready: PreparedReload = self.successResultOf(self.prepare(self.part("a"), self.part("b")))
        self.assertEqual(self.done, ["prepare a", "prepare b"])
        self.assertEqual(ready.activate(), ())
        self.assertEqual(self.done[2:], ["activate a", "activate b"])

    def test_one_cannot(self) -> None:
        """Those that are ready give up what they got, the last first; the others aren't asked, and nothing is changed. Whatever went wrong."""
        for error in (ConfigurationError(("no",)), OSError("no"), RuntimeError("no")):
            self.done.clear()
            prepared = self.prepare(self.part("a"), self.part("b"), self.part("c", error), self.part("d"))
            self.assertIs(self.failureResultOf(prepared).value, error)
            self.assertEqual(self.done, ["prepare a", "prepare b", "prepare c", "discard b", "discard a"])

    def test_discarded(self) -> None:
        """A configuration that is ready may still not be wanted."""
        ready: PreparedReload = self.successResultOf(self.prepare(self.part("a"), self.part("b")))
        ready.discard()
        self.assertEqual(self.done[2:], ["discard b", "discard a"])

    def test_waiting_for_a_start(self) -> None:
        """What is read at the start only is named."""
        new = Settings(gateway=GatewaySettings(hostname="mx.test"), control=Control(socket="/run/s"))
        ready: PreparedReload = self.successResultOf(self.prepare(new=new))
        self.assertEqual(ready.activate(), ("gateway", "control.socket"))
        ready = self.successResultOf(self.prepare(new=attrs.evolve(new, control=Control(mode="0600")), old=new))
        self.assertEqual(ready.activate(), ("control.socket",))

    def test_order(self) -> None:
        """What others are made by changes before them, and whoever waits is woken at the end."""
        parts = ReloadableParts(None, None)  # type: ignore[arg-type]
        names = [part.__name__ for part in parts.all]  # type: ignore[attr-defined]
        self.assertEqual(names[0], "settings")
        self.assertEqual(names[-1], "scheduler")
        for before, after in (
            ("lookups", "sending"),
            ("filters", "listeners"),
            ("sasl", "listeners"),
            ("limits", "listeners"),
        ):
            self.assertLess(names.index(before), names.index(after))
