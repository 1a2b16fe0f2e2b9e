"""`seawall init`: a commented fleet file from existing manifests."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def command(paths: tuple[Path, ...]) -> None:
    """Print a commented fleet file made from Kubernetes manifests.

    PATHS are files and folders, or - (or nothing) for standard input:

    \b
      seawall init k8s/ > fleet.yaml
      kubectl get deploy,hpa,svc,ingress,pdb -o yaml | seawall init > fleet.yaml
      helm template . | seawall init > fleet.yaml

    Paths are written relative to the current folder: put the file there.
    """
    import sys

    from seawall.fleet.errors import InputError
    from seawall.fleet.initial import initial_fleet, initial_fleet_from_text
    from seawall.fleet.yamlfile import MAX_BYTES, decode

    from_stdin = not paths or paths == (Path("-"),)
    if not from_stdin:
        click.echo(initial_fleet(paths, Path.cwd()), nl=False)
        return
    if not paths and sys.stdin.isatty():
        raise InputError("give files or folders of manifests, or pipe them in")
    text = decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
    click.echo(initial_fleet_from_text(text), nl=False)
