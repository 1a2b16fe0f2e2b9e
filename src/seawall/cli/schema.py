"""`seawall schema`: the JSON Schema of fleet.yaml, for editors."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of fleet.yaml.

    Editors complete and check the file with it: save it beside the fleet file and begin that file with
    "# yaml-language-server: $schema=fleet.schema.json".
    """
    import json

    from seawall.fleet.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
