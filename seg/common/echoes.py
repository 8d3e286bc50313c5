"""What another host says back to us of a secret that we told it: a server that quotes our AUTH line in its refusal, for instance. Pure.

Everything that such a host says goes through `EchoedSecrets` before anybody is told of it, in a log, an error or a report. A host that wants
to give the secret away can do that by other means; here it is kept out of texts for people.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

WITHHELD = "(not shown: it repeats a secret of ours)"
WHOLE = 15  # characters from which on a part of a secret is told from chance
_PART = 8  # any WHOLE characters hold so many that begin at a multiple of it
_LEAST = 6  # characters of base64 that are no chance
_STATUS = re.compile(r"\s*[245]\.\d{1,3}\.\d{1,3}\s", re.ASCII)


class EchoedSecrets:
    """Finds secrets in texts, whatever their case, spaces and ends of lines: as they are and as base64, hexadecimal, percent-encoding or an
    escape of Python makes them; of what is longer than `WHOLE` characters any such part. It takes time in the length of the text only.

    :param secrets: passwords; an empty one is none.
    """

    __slots__ = ("_parts", "_short")

    def __init__(self, *secrets: bytes) -> None:
        self._short: set[str] = set()
        self._parts: set[str] = set()
        for secret in filter(None, secrets):
            for form in _forms(secret):
                self._add(form)

    def __repr__(self) -> str:
        return "EchoedSecrets()"

    def add_sent(self, octets: bytes) -> None:
        """Octets that were sent and hold a secret in a way of their own."""
        text = _plain(octets.decode("ascii", "backslashreplace"))
        if len(text) >= _LEAST:
            self._add(text)

    def _add(self, form: str) -> None:
        form = _plain(form)
        if len(form) < WHOLE:
            self._short.update({form} - {""})
        else:
            self._parts.update(form[start : start + _PART] for start in range(len(form) - _PART + 1))

    def stand_in(self, text: str) -> bool:
        """Whether a secret, or a telling part of one, stands in a text."""
        text = _plain(text)
        if any(form in text for form in self._short):
            return True
        return any(text[start : start + _PART] in self._parts for start in range(0, len(text) - _PART + 1, _PART))

    def withheld(self, lines: Iterable[str]) -> bool:
        """Whether the lines of one reply, without their codes, are not to be shown: a secret may go over their ends."""
        return self.stand_in("".join(_STATUS.sub("", line, count=1) for line in lines))


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _forms(secret: bytes) -> Iterable[str]:
    """How a secret may look in a text."""
    for octets in {secret, secret.decode("utf-8", "replace").encode("latin-1", "replace")}:
        yield octets.decode("ascii", "backslashreplace")
    yield secret.decode("utf-8", "backslashreplace")
    yield secret.hex()
    yield quote(secret, safe="")
    yield base64.b64encode(secret).decode("ascii").rstrip("=")
    for before, first in enumerate((0, 2, 3)):  # inside something longer: what doesn't depend on its neighbours
        whole = base64.b64encode(bytes(before) + secret).decode("ascii").rstrip("=")
        inner = whole[first : len(whole) - bool((len(secret) + before) % 3)]
        if len(inner) >= _LEAST:
            yield inner
