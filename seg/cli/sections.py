"""Sections of the configuration as commands: made from the schema, so that each key can be looked at, asked for and set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask, confirm, menu
from seg.cli.keys import fault_of, options, shown, typed
from seg.cli.options import JSON, to_be_asked
from seg.cli.output import say, shown_safely
from seg.cli.staged import Edit, StagedEdits, changed, put, remove
from seg.cli.tables import plain, print_json, print_table
from seg.config.problems import offered
from seg.config.values import KeySpec, specs

RESET = click.option(
    "--reset", multiple=True, metavar="KEY", help="Take the default of this key again (may be repeated)."
)


HAS_DEFAULT = "has its default already"


# --- one table --------------------------------------------------------------------------------------------------


def section_command(name: str, section: str, kind: type, title: str) -> click.Command:
    """A command for one table of seg.toml: shows it, sets keys by options, or asks."""

    @click.command(
        name,
        short_help=f"{title}.",
        help=f"{title}: show the settings, or stage changes of them (seg commit puts them into force). "
        "Without options, on a terminal, it asks.",
    )
    @options(kind)
    @RESET
    @click.option("--show", is_flag=True, help="Show the settings and ask nothing.")
    @JSON
    @click.pass_obj
    def command(context: CommandContext, /, reset: tuple[str, ...], show: bool, as_json: bool, **given: Any) -> None:
        bench = StagedEdits(context.gateway())
        stated = bench.table("settings", section)
        values = {key: value for key, value in given.items() if value is not None}
        edits = changed("settings", (section,), values, reset, stated, HAS_DEFAULT)
        if edits:
            bench.stage(edits, as_json)
        elif show or as_json or not can_ask():
            _show(specs(kind), stated, as_json)
        else:
            section_dialogue(bench, section, kind)

    return command


def section_group(name: str, title: str, sections: Mapping[str, tuple[str, type, str]]) -> click.Group:
    """A command for several tables of seg.toml, each by a verb."""
    commands = [section_command(verb, *section) for verb, section in sections.items()]
    return click.Group(name, commands, help=f"{title}. What you change is staged: seg commit puts it into force.")


def section_dialogue(bench: StagedEdits, section: str, kind: type) -> None:
    """Show a table of seg.toml, and ask for each key."""
    stated = bench.table("settings", section)
    _show(specs(kind), stated, False)
    if confirm("Do you wish to change any of these settings?"):
        bench.stage(_asked((section,), specs(kind), stated))


def _show(keys: Mapping[str, KeySpec], stated: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                name: {"value": stated.get(name, _plain(spec)), "default": name not in stated}
                for name, spec in keys.items()
            }
        )
        return
    rows = [
        (
            name,
            shown(spec, stated[name]) if name in stated else f"({shown(spec, spec.default) or '-'})",
            spec.unit,
            spec.doc,
        )
        for name, spec in keys.items()
    ]
    print_table((("Key", "left"), ("Value", "left"), ("Unit", "left"), ("Meaning", "left")), rows)
    say("(...) is the default.")


def _plain(spec: KeySpec) -> Any:
    value = spec.default
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | str) and not spec.choices else shown(spec, value)


def _asked(
    where: tuple[str, ...],
    keys: Mapping[str, KeySpec],
    stated: Mapping[str, Any],
    needless: Callable[[Mapping[str, Any]], Collection[str]] = lambda answers: (),
) -> list[Edit]:
    """Each key asked for; what is answered as it was isn't an edit.

    :param needless: the keys that mean nothing with the answers so far.
    """
    edits: list[Edit] = []
    for name, spec in keys.items():
        if name in needless({**stated, **{edit["path"][-1]: edit["value"] for edit in edits}}):
            continue
        old = shown(spec, stated[name]) if name in stated else shown(spec, spec.default)
        allowed = f" ({spec.range})" if spec.range else ""
        answer = ask(f"{name}: {spec.doc}{allowed}", old, lambda text, s=spec: fault_of(s, text))  # type: ignore[misc]
        if answer != old:
            edits.append(put("settings", (*where, name), typed(spec, answer)))
    return edits


# --- tables with names ------------------------------------------------------------------------------------------


@attrs.frozen
class NamedSection:
    """A table of entries with names."""

    command: str
    file: str
    table: str
    kind: type
    noun: str
    title: str
    unnamed: str = ""  # what an entry without a name is called
    is_array: bool = True
    without: tuple[str, ...] = ()  # keys that aren't for it
    needless: Callable[[Mapping[str, Any]], Collection[str]] = (
        lambda answers: ()
    )  # keys that mean nothing with these values

    @property
    def keys(self) -> dict[str, KeySpec]:
        """The keys of an entry, its name left out."""
        return {name: spec for name, spec in specs(self.kind).items() if name not in ("name", *self.without)}

    def entries(self, bench: StagedEdits) -> dict[str, dict[str, Any]]:
        """What there is, by name."""
        if self.is_array:
            return {str(entry.get("name", self.unnamed)): entry for entry in bench.entries(self.file, self.table)}
        return dict(bench.table(self.file, self.table))


def named_group(named: NamedSection) -> click.Group:
    """new, edit, delete and list for such a table; without a verb, on a terminal, a menu."""
    noun = named.noun

    @click.group(
        named.command,
        invoke_without_command=True,
        help=f"{named.title}. What you change is staged: seg commit puts it into force. Without a verb, on a terminal, it asks.",
    )
    @click.pass_context
    def group(context: click.Context) -> None:
        if to_be_asked(context):
            named_menu(named, StagedEdits(context.obj.gateway()))

    @group.command("list", help=f"List every {noun}.")
    @JSON
    @click.pass_obj
    def list_(context: CommandContext, as_json: bool) -> None:
        list_named(named, StagedEdits(context.gateway()), as_json)

    def verb(name: str, text: str, act: Callable[..., list[Edit]], with_reset: bool) -> None:
        def command(context: CommandContext, /, entry: str, as_json: bool, **given: Any) -> None:
            bench = StagedEdits(context.gateway())
            reset = given.pop("reset", ())
            values = {key: value for key, value in given.items() if value is not None}
            bench.stage(act(named, bench, entry, values, reset), as_json)

        decorated: Any = options(named.kind, ("name", *named.without))(command) if name != "delete" else command
        if with_reset:
            decorated = RESET(decorated)
        group.command(name, help=text)(click.argument("entry", metavar="NAME")(JSON(click.pass_obj(decorated))))

    verb("new", f"Stage a new {noun}.", _new, False)
    verb("edit", f"Stage changes of a {noun}; keys that aren't given stay.", _change, True)
    verb("delete", f"Stage the removal of a {noun}.", _delete, False)
    return group


def _new(
    named: NamedSection, bench: StagedEdits, entry: str, values: dict[str, Any], reset: tuple[str, ...]
) -> list[Edit]:
    if entry in named.entries(bench):
        raise click.ClickException(f"there is a {named.noun} {entry} already (seg {named.command} edit {entry} ...)")
    return [put(named.file, (named.table, entry), values)]


def _change(
    named: NamedSection, bench: StagedEdits, entry: str, values: dict[str, Any], reset: tuple[str, ...]
) -> list[Edit]:
    known = _known(named, bench, entry)
    if not values and not reset and can_ask():
        values = _questions(named, known)
    if not values and not reset:
        raise click.UsageError(f"say what to change: seg {named.command} edit {entry} --help lists the options")
    return changed(named.file, (named.table, entry), values, reset, known, HAS_DEFAULT)


def _delete(
    named: NamedSection, bench: StagedEdits, entry: str, values: dict[str, Any], reset: tuple[str, ...]
) -> list[Edit]:
    _known(named, bench, entry)
    return [remove(named.file, (named.table, entry))]


def _known(named: NamedSection, bench: StagedEdits, entry: str) -> dict[str, Any]:
    entries = named.entries(bench)
    if entry not in entries:
        raise click.ClickException(f"there is no {named.noun} {entry}{offered(entry, entries)}")
    return entries[entry]


def _questions(named: NamedSection, known: Mapping[str, Any]) -> dict[str, Any]:
    """Each key asked for; those answered otherwise than they are."""
    return {edit["path"][-1]: edit["value"] for edit in _asked((named.table,), named.keys, known, named.needless)}


def list_named(named: NamedSection, bench: StagedEdits, as_json: bool) -> None:
    entries = named.entries(bench)
    if as_json:
        print_json({"entries": [{"name": name, **entry} for name, entry in entries.items()]})
        return
    if not entries:
        say(f"There is no {named.noun}.")
        return
    keys = named.keys
    rows = [
        (
            name,
            ", ".join(
                f"{key} = {shown(keys[key], value) if key in keys else plain(value)}"
                for key, value in entry.items()
                if key != "name"
            ),
        )
        for name, entry in entries.items()
    ]
    print_table(((named.noun.capitalize(), "left"), ("Set there (all else has its default)", "left")), rows)


SectionTable = Callable[[NamedSection, StagedEdits, bool], None]


def named_menu(
    named: NamedSection,
    bench: StagedEdits,
    listing: SectionTable = list_named,
    more: Mapping[str, tuple[str, Callable[[StagedEdits], None]]] = MappingProxyType({}),
) -> None:
    """What can be done with such a table, one after the other until an empty line.

    :param listing: lists the entries.
    :param more: operations besides, by name: what each is for, and what does it.
    """
    noun = named.noun
    operations = {
        "NEW": f"Create a new {noun}.",
        "EDIT": f"Modify a {noun}.",
        "DELETE": f"Remove a {noun}.",
        "LIST": f"List every {noun}.",
        **{name: meaning for name, (meaning, _) in more.items()},
    }
    others = {"LIST": lambda bench: listing(named, bench, False), **{name: act for name, (_, act) in more.items()}}
    while True:
        chosen = menu(f"There are currently {len(named.entries(bench))} entries configured.", operations)
        if not chosen:
            return
        if chosen in others:
            others[chosen](bench)
            continue
        entry = ask(f"Enter the name of the {noun}.", "", lambda text: "" if text else "A name is needed.")
        try:
            if chosen == "NEW":
                if entry in named.entries(bench):
                    raise click.ClickException(f"there is a {noun} {entry} already")
                bench.stage([put(named.file, (named.table, entry), _questions(named, {}))])
            else:
                bench.stage((_change if chosen == "EDIT" else _delete)(named, bench, entry, {}, ()))
        except click.ClickException as error:
            shown_safely(error).show()
