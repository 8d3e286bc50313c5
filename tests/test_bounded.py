"""Tables that hold so much and no more, and what happened within the last so many seconds."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.bounded import BoundedMap, WeightedMap
from seg.common.windows import TimeWindow

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("set", "use", "pop", "delete", "renew", "first", "last", "default")),
        st.integers(0, 6),
        st.integers(0, 9),
    )
)


class BoundedMapTests(SynchronousTestCase):
    """`BoundedMap` and `WeightedMap`."""

    def test_oldest_goes(self) -> None:
        """Setting and using makes an entry the newest, reading and `setdefault` don't; the oldest gives way, and is told."""
        gone: list[tuple[str, int]] = []
        table: BoundedMap[str, int] = BoundedMap(3, lambda key, value: gone.append((key, value)))
        table.update(a=1, b=2, c=3)
        table["a"] = 4
        self.assertEqual((table["b"], table.get("b"), table.setdefault("b", 9)), (2, 2, 2))
        self.assertEqual(table.use("c"), 3)
        table["d"] = 5
        self.assertEqual(gone, [("b", 2)])
        self.assertEqual(list(table.items()), [("a", 4), ("c", 3), ("d", 5)])
        self.assertIsNone(table.use("b"))
        self.assertEqual(table.setdefault("e", 6), 6)
        self.assertEqual(list(table), ["c", "d", "e"])

    def test_renewed(self) -> None:
        """What isn't there is made; what is there is the newest."""
        table: BoundedMap[str, list[int]] = BoundedMap(2)
        table.renew("a", list).append(1)
        table.renew("b", list)
        self.assertEqual(table.renew("a", list), [1])
        table.renew("c", list)
        self.assertEqual(list(table), ["a", "c"])

    def test_weight(self) -> None:
        """By weight several may have to go for one; one that is too heavy alone is kept."""
        table: WeightedMap[str, str] = WeightedMap(10, 5, len)
        for key, value in (("a", "11"), ("b", "22"), ("c", "3"), ("d", "4444")):
            table[key] = value
        self.assertEqual((list(table), table.weight), (["c", "d"], 5))
        table["e"] = "55555555"
        self.assertEqual((list(table), table.weight), (["e"], 8))
        table["e"] = "5"
        self.assertEqual(table.weight, 1)
        self.assertEqual(table.pop("e"), "5")
        self.assertRaises(KeyError, table.pop, "e")
        self.assertRaises(KeyError, table.__delitem__, "e")
        self.assertIsNone(table.pop("e", None))
        table["f"] = "6"
        table.clear()
        self.assertEqual((len(table), table.weight), (0, 0))

    @given(STEPS, st.integers(1, 4), st.integers(1, 12))
    def test_bounds_hold(self, steps: list[tuple[str, int, int]], most: int, heaviest: int) -> None:
        """Whatever is done, in whatever order: the bounds hold, the weight is that of what is there, and the order that of a dict."""
        table: WeightedMap[int, int] = WeightedMap(most, heaviest, lambda value: value)
        plain: OrderedDict[int, int] = OrderedDict()
        for step, key, value in steps:
            self.assertEqual(apply(table, step, key, value), apply(plain, step, key, value))
            while len(plain) > most or (sum(plain.values()) > heaviest and len(plain) > 1):
                plain.popitem(last=False)
            self.assertEqual(list(table.items()), list(plain.items()))
            self.assertEqual(table.weight, sum(plain.values()))


def apply(table: Any, step: str, key: int, value: int) -> Any:
    """Do one thing to a table."""
    bounded = isinstance(table, BoundedMap)
    if step in ("first", "last"):
        return table.popitem(last=step == "last") if table else None
    if step == "pop":
        return table.pop(key, None)
    if step == "delete":
        if key in table:
            del table[key]
        return None
    if step == "default":
        return table.setdefault(key, value)
    if step == "use":
        if not bounded and key in table:
            table.move_to_end(key)
        return table.use(key) if bounded else table.get(key)
    if step == "renew" and bounded:
        return table.renew(key, lambda: value)
    if step == "renew":
        table.setdefault(key, value)
    else:
        table[key] = value
    table.move_to_end(key)
    return table[key]


class TimeWindowTests(SynchronousTestCase):
    """`TimeWindow`."""

    def test_since(self) -> None:
        """What is as old as the window is over; what is asked for once is forgotten before."""
        window: TimeWindow[str] = TimeWindow()
        self.assertFalse(window.since(5.0))
        for moment in (1.0, 2.0, 2.0, 3.0):
            window.append((moment, "x"))
        self.assertEqual([moment for moment, _ in window.since(1.5)], [2.0, 2.0, 3.0])
        self.assertEqual(len(window.since(2.0)), 1)
        self.assertEqual(len(window.since(0.0)), 1)

    def test_bounded(self) -> None:
        """A bound lets the oldest go."""
        window: TimeWindow[int] = TimeWindow(((float(n), n) for n in range(9)), 3)
        self.assertEqual([what for _, what in window], [6, 7, 8])
