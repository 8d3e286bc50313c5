"""Checks the documentation: every relative link leads somewhere, every Python example compiles, every TOML example loads, every verb
and option of ``seg`` is one of the program's, every test, file and name of the code that a page names is there, and every command that can be
run does what the page says.

Run it as ``python docs/check.py``; it prints a line for each fault and exits with 1 if there is one. ``--run-nothing`` leaves the last
out; ``--left-out`` lists the commands that aren't run, with the reason. That the generated parts (configuration reference, log lines,
decision tables) fit the code is held by the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from page_checks.commands import wrong_commands
from page_checks.examples import broken_examples
from page_checks.left_out import reason
from page_checks.links import broken_links
from page_checks.names import missing_files, missing_names, missing_tests
from page_checks.pages import ROOT, pages
from page_checks.run import failing_commands, shown


def main(arguments: Sequence[str]) -> int:
    """Check all pages."""
    if "--left-out" in arguments:
        for page in pages():
            for each in shown(page):
                if why := reason(each.command):
                    print(f"{page.relative_to(ROOT)}: {each.command.splitlines()[0]}: {why}")
        return 0
    checks = (broken_links, broken_examples, wrong_commands, missing_tests, missing_names, missing_files)
    faults = [fault for page in pages() for check in checks for fault in check(page)]
    if "--run-nothing" not in arguments:
        faults += failing_commands(pages())
    print("\n".join(faults) or f"{len(pages())} pages, no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
