"""Options that many verbs have."""

from __future__ import annotations

import click

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
