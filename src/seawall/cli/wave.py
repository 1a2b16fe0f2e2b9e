"""`seawall wave`: real requests on a schedule of their own, each latency counted from the time it was due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)


class Group(click.Command):
    """A command whose options stand in `--help` under headings."""

    HEADINGS = (
        ("Who comes", ("users", "pace", "think", "jitter", "rate", "process", "logs", "variant")),
        ("Recorded traffic", (
            "kind", "log_format", "session", "stamp", "speed", "begin", "length", "multiply", "methods", "rewrite",
            "redact",
        )),
        ("What is asked for", ("url", "method", "header", "body", "body_file", "expect_body")),
        ("How clients behave", (
            "timeout", "connect_timeout", "retries", "new_connections", "keep_alive", "cookies", "redirects",
            "insecure", "ca_file",
        )),
        ("From where", (
            "processes", "max_connections", "part", "start_at", "allow_host", "yes", "token", "locustfile",
        )),
        ("What comes out", ("lines", "folder", "page", "as_json", "quiet", "seed")),
    )  # fmt: skip

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by heading; what stands under none comes last."""
        rows = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx) if isinstance(p, click.Option)}
        for heading, names in self.HEADINGS:
            found = [record for name in names if (record := rows.pop(name, None)) is not None]
            if found:
                with formatter.section(heading):
                    formatter.write_dl(found)
        rest = [record for record in rows.values() if record is not None]
        with formatter.section("Other"):
            formatter.write_dl(rest)


@click.command("wave", cls=Group)
@click.argument("fleet", metavar="[FLEET]", required=False)
@click.option("--users", metavar="SHAPE", help="Users over time, e.g. '0 -> 1000 in 60s, hold 5m'.")
@click.option("--pace", metavar="TIME", help="A user asks once in so much time, e.g. 5s.")
@click.option(
    "--think", metavar="TIME", help="Instead: from an answer to the next request, 5s or 'exponential 5s'."
)
@click.option("--jitter", metavar="SHARE", help="The pace varies by so much to each side. Default: 10%.")
@click.option("--rate", metavar="SHAPE", help="Requests over time, e.g. '50/s -> 2000/s in 30s, hold 2m'.")
@click.option("--process", type=click.Choice(["poisson", "even"]), help="How they come. Default: poisson.")
@click.option("--log", "logs", multiple=True, type=PATH, metavar="FILE",
              help="Recorded traffic at its own times; may be repeated.")  # fmt: skip
@click.option("--variant", metavar="NAME", help="Which variant of FLEET.")
@click.option("--kind", metavar="NAME", help="What the recording is. Default: its first lines tell.")
@click.option(
    "--log-format", metavar="FORMAT", help="Apache's LogFormat or nginx's log_format, as configured."
)
@click.option("--session", metavar="KEY", help="What tells visitors apart: user, address, cookie:NAME.")
@click.option(
    "--stamp", type=click.Choice(["arrival", "end"]), help="What a log's times are. Default: by its format."
)
@click.option("--speed", metavar="FACTOR", help="Time runs so many times faster, e.g. 4x.")
@click.option("--from", "begin", metavar="TIME", help="Where to start: 10:05, or 5m after the first request.")
@click.option("--for", "length", metavar="TIME", help="How much of it to take.")
@click.option("--multiply", metavar="FACTOR", help="So many times the recorded requests.")
@click.option("--methods", metavar="LIST", help="Recorded methods that are sent. Default: GET,HEAD.")
@click.option(
    "--rewrite", multiple=True, metavar="RULE", help=r"Change recorded paths, e.g. '^/v1/(.*) => /v2/\1'."
)
@click.option(
    "--redact", multiple=True, metavar="REGEX", help="Parts of paths that must not reach the record."
)
@click.option("--url", metavar="URL", help="Where the requests go.")
@click.option("--method", default="GET", metavar="NAME", help="Default: GET.")
@click.option("--header", multiple=True, metavar="'NAME: VALUE'", help="A header line; may be repeated.")
@click.option("--body", metavar="TEXT", help="The body that is sent.")
@click.option("--body-file", type=PATH, metavar="FILE", help="The body, from a file.")
@click.option("--expect-body", metavar="TEXT", help="Answers without this text are failures.")
@click.option("--timeout", metavar="TIME", help="How long a client waits for its answer. Default: 30s.")
@click.option("--connect-timeout", metavar="TIME", help="... and for its connection. Default: the same.")
@click.option(
    "--retries", type=click.IntRange(0, 100), metavar="N", help="Attempts after the first. Default: 0."
)
@click.option(
    "--new-connections", metavar="SHARE", help="Share of requests on a connection of their own. Default: 0%."
)
@click.option(
    "--keep-alive/--no-keep-alive", default=None, help="Whether clients keep connections. Default: they do."
)
@click.option("--cookies/--no-cookies", default=True, help="Whether users keep cookies. Default: they do.")
@click.option("--redirects", type=click.IntRange(0, 100), default=0, show_default=True, metavar="N",
              help="Follow so many of the host's own within a request.")  # fmt: skip
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option("--ca-file", type=PATH, metavar="FILE", help="Certificates to trust, as PEM.")
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N",
              help="So many share the sending.")  # fmt: skip
@click.option("--max-connections", type=click.IntRange(min=1), metavar="N",
              help="Open at once at most; what passes it is shed. Default: what this machine can.")  # fmt: skip
@click.option(
    "--part", metavar="I/N", help="Send the I-th of N interleaved parts; `seawall merge` joins them."
)
@click.option("--start-at", metavar="TIME", help="When to start: 18:00:30, +90s, 2026-11-22T18:00:00Z.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A host beyond private networks that may be loaded."
)
@click.option("--yes", is_flag=True, help="Do not ask whether the plan is meant so.")
@click.option("--token", envvar="SEAWALL_TOKEN", metavar="TEXT",
              help="What the host answers at /.well-known/seawall, in place of a confirmation.")  # fmt: skip
@click.option(
    "--locustfile", type=PATH, metavar="FILE", help="A journey scripted for Locust instead (with --users)."
)
@click.option("--expect", "lines", multiple=True, metavar="EXPR",
              help="Expect this, e.g. 'p99 < 800ms' or 'served in wave > 99%'; may be repeated.")  # fmt: skip
@click.option("--record", "folder", type=PATH, metavar="DIR", help="Keep the run's record in DIR/<name>/.")
@click.option(
    "--report", "page", type=PATH, metavar="FILE", help="Write one HTML page with charts over time."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", is_flag=True, help="Show nothing while it runs.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), default=0, show_default=True,
              help="Of all that is drawn at random: same seed, same schedule.")  # fmt: skip
def command(**options: Any) -> None:
    """Will it hold? Real requests, at the times at which they are due.

    Sends users, a rate, recorded traffic, or the traffic of a FLEET file to a URL, counts every latency from the
    time at which the request was due, and tells beside it how late it was itself.

    \b
    seawall wave --url http://127.0.0.1:8000/ --users "0 -> 1000 in 60s, hold 5m" --pace 5s
    seawall wave --url http://127.0.0.1:8000/ --rate "50/s -> 2000/s in 30s, hold 2m"
    seawall wave --url http://127.0.0.1:8000/ --log access.log --speed 4x --from 10:05 --for 10m
    seawall wave fleet.yaml --variant tuned --url http://127.0.0.1:8000/

    \b
    Exit codes:
      0    done: every --expect is met, a variant that was named stands
      1    an --expect is not met, or the variant falls
      2    the input is wrong, or the host cannot be reached
      3    there is no verdict: the generator itself was too late, or nothing was sent
      130  interrupted; the record of what was sent is written
    """
    from seawall.cli.waving import Options, run

    click.get_current_context().exit(run(Options(**options)))
