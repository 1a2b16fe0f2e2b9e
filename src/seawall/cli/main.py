"""The root of the command line: its verbs, loaded when asked for, and every way in which a command can end."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from types import FrameType

import click

from seawall import __version__
from seawall.cli.ending import Code, NoVerdictError, Terminated
from seawall.fleet.errors import InputError

VERBS = {
    "simulate": "seawall.cli.simulate",
    "wave": "seawall.cli.wave",
    "merge": "seawall.cli.merge",
    "init": "seawall.cli.init",
    "traffic": "seawall.cli.traffic",
    "hpa": "seawall.cli.hpa",
    "schema": "seawall.cli.schema",
}
"""Each verb and the module whose `command` it is, in the order of `seawall --help`."""


class Verbs(click.Group):
    """The verbs of `VERBS`, each imported when it is asked for: what they need takes long to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs' names, in order."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is refused with the nearest that there is."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in VERBS:
            near = get_close_matches(name, VERBS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}"
            ctx.fail(f"There is no command {name!r}; {advice}")
        return super().resolve_command(ctx, args)


@click.group("seawall", cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="seawall %(version)s")
def root() -> None:
    """Will the service stand when the wave hits?

    Describe a fleet once, run it against a wave, and read the verdict.
    """


def main() -> None:
    """The `seawall` command: run it and end the process with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def run(args: Sequence[str]) -> int:
    """Run a command line and return the process's exit code; what went wrong is said on standard error."""
    _make_safe_to_write()
    try:
        code = _invoke(list(args))
        sys.stdout.flush()
    except BaseException as error:
        return _ended_by(error)
    return code


def _make_safe_to_write() -> None:
    """No character is too much for the locale, and a stream that was closed at the start swallows all."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, it lives as long as the process
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _invoke(args: list[str]) -> int:
    """What click's own `main` does, but for its own ends: it takes a closed output for a failure with code 1."""
    if "_SEAWALL_COMPLETE" in os.environ:
        root.main(args, prog_name="seawall")  # a shell asks how to complete a line
    try:
        with root.make_context("seawall", args) as context:
            root.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return Code.DONE


def _ended_by(error: BaseException) -> int:
    """Say on standard error what an exception means, and return the exit code for it."""
    match error:
        case SystemExit():
            raise error
        case KeyboardInterrupt() | click.Abort():
            return _say("interrupted", Code.INTERRUPTED)
        case Terminated():
            return _say("terminated", Code.TERMINATED)
        case BrokenPipeError():
            return _output_closed()
        case InputError():
            return _say(str(error), Code.WRONG_INPUT, named=error.file is None)
        case click.ClickException():
            error.show(sys.stderr)
            return Code.WRONG_INPUT
        case NoVerdictError():
            return _say(f"no verdict: {error}", Code.NO_VERDICT)
        case MemoryError():
            return _say("the machine's memory ran out: no verdict", Code.NO_VERDICT)
        case OSError():
            where = f": {error.filename}" if error.filename else ""
            return _say(f"{error.strerror or error}{where}", Code.NO_VERDICT)
    driver = sys.modules.get("seawall.twin.driver")
    if driver is not None and isinstance(error, driver.InvariantError):
        return _say(f"no verdict, the simulation broke a law of its own: {error}", Code.NO_VERDICT)
    return _fault(error)


def _say(message: str, code: Code, *, named: bool = True) -> int:
    click.echo(f"seawall: {message}" if named else message, err=True)
    return code


def _output_closed() -> int:
    """Whoever read the output has gone (`seawall ... | head`): end without a word, as other commands do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Code.OUTPUT_CLOSED


def _fault(error: BaseException) -> int:
    """A fault of Seawall's own, which a report of it needs in full."""
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    return _say("no verdict: this is a fault in Seawall, not in your input", Code.NO_VERDICT)


if __name__ == "__main__":
    main()
