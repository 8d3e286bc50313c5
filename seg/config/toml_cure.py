"""What was probably meant by a line that isn't TOML. Pure; only for the message.

Nothing of the line is repeated but the words that a configuration is made of: in a damaged file any other may be a part of a password.
"""

from __future__ import annotations

import re

from seg.config.words import known_words, secret_words

_HEADER = re.compile(r"\s*\[{1,2}[^\]=]*\]?\s*(#.*)?")
_ASSIGNED = re.compile(r"\s*(?P<key>[\w.-]+|\"[^\"]*\"|'[^']*')\s*(?P<sign>=|:|\s)\s*(?P<value>.*?)\s*", re.DOTALL)
_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false", "true": "true", "false": "false"}
_LIKE_A_NUMBER = re.compile(r"[+-]?\d[\d_.]*")
_PLAIN = re.compile(r"[\w.-]{1,60}")
_NAMES = re.compile(r"""\(['"].*\)|(?<=inline table key )['"].*""", re.DOTALL)  # how tomllib tells them
_DUPLICATE = re.compile(r"\s*(?P<header>\[{1,2})?\s*(?P<name>[^\]=]+?)\s*(?:[\]=].*)?", re.DOTALL)


def last_line(text: str) -> int:
    """The number (from 1) of the last line with anything in it: where the end came too early."""
    return text.rstrip().count("\n") + 1


def without_names(fault: str) -> str:
    """What the parser says, without the names that it took from the file."""
    return _NAMES.sub("this one", fault)


def toml_cure(line: str, column: int) -> str:
    """``; ...`` with a proposal, or nothing.

    :param column: where the parser stopped, from 1; 0 when it isn't known.
    """
    line = line.rstrip("\r")
    if "=" not in line and line.lstrip().startswith("["):
        closing = "]]" if line.lstrip().startswith("[[") else "]"
        return _once(line) if line.rstrip().endswith(closing) else f"; close it: {_header(line, closing)}"
    found = _ASSIGNED.fullmatch(line)
    if found is None or line.lstrip().startswith("#"):
        return ""
    key, sign, value = _known(found["key"].strip("\"'"), "KEY"), found["sign"], found["value"]
    if sign != "=":
        return f"; write {key} = ..." if value else ""
    return _of_value(key, value.partition(" #")[0].strip()) or (_once(line) if column > len(line) else "")


def _known(name: str, otherwise: str) -> str:
    """The name, if all its parts are words of the configuration."""
    return name if known_words().issuperset(name.split(".")) else otherwise


def _header(line: str, closing: str) -> str:
    """The header of a table as it should be."""
    return f"{'[' * len(closing)}{_known(line.strip(' []'), '...')}{closing}"


def _of_value(key: str, value: str) -> str:
    """What is to be done about the value."""
    bare = value.strip("\"'")
    if not value:
        return f"; a value is missing: {key} = ..."
    if value.lower() in _BOOLEANS and value not in ("true", "false"):
        return f"; write {key} = {_BOOLEANS[value.lower()]}"
    if value[0] in "\"'" and (len(value) == 1 or value[-1] != value[0]):
        return f"; close the quotes: {key} = {value[0]}...{value[0]}"
    if value[0] == '"' and "\\" in value:
        return f"; a backslash is written \\\\, or the text in single quotes: {key} = '...'"
    if value[0] == "[" and value.count("[") > value.count("]"):
        return '; a list is written ["...", "..."] and has to be closed'
    if value[0] not in "\"'[{" and not _LIKE_A_NUMBER.fullmatch(value) and value not in ("true", "false"):
        return f'; a text stands in quotes: {key} = "{_plain(key, bare)}"'
    if value[0] == "0" and value.isdigit():
        return "; a number has no zeros before it; a mode is a text in quotes"
    return ""


def _plain(key: str, value: str) -> str:
    """A value that is no secret and holds nothing but itself; else dots."""
    return value if key in known_words() - secret_words() and _PLAIN.fullmatch(value) else "..."


def _once(line: str) -> str:
    """A key or table that is there already."""
    found = _DUPLICATE.fullmatch(line)
    name = found["name"].strip() if found else ""
    return f"; {_known(name, 'it')} is there already: write it once" if name else ""
