"""The command `photochanger`: serve, demo, shoot, health, migrate."""

import argparse
import http.client
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from photochanger import __version__
from photochanger.app import serve
from photochanger.config import Config
from photochanger.errors import PhotoChangerError
from photochanger.observability import logs
from supervisors import BootFailed, unwrap

log = logging.getLogger("photochanger")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code. What can be expected to fail is told in one line."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command is not _shoot:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        config = Config.from_env()
        logs.setup(config.log_level, as_json=config.log_json)
        return int(arguments.command(config, arguments))
    except KeyboardInterrupt:
        return 130
    except BaseException as raised:
        error = unwrap(raised)
        if isinstance(error, BootFailed):
            error = error.__cause__ or error
        if isinstance(error, KeyboardInterrupt):
            return 130
        if not isinstance(error, PhotoChangerError | OSError):
            raise
        print(f"photochanger: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="photochanger", description="A booth's photo in, the processed photo out, inside the waiting window."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("serve", help="run the service; SIGTERM lets held photos finish first")
    command.set_defaults(command=_serve)

    command = commands.add_parser("demo", help="run everything on this machine, with simulated providers")
    command.add_argument("--once", action="store_true", help="leave after one photo; exit 0 only if it worked")
    command.add_argument("--photo", type=Path, help="a photo of your own to send (JPEG, PNG or WebP)")
    command.set_defaults(command=_demo)

    command = commands.add_parser("shoot", add_help=False, help="send one photo as the booth does, and say what came")
    command.set_defaults(command=_shoot)

    command = commands.add_parser("health", help="exit 0 when the service on PORT of this machine is alive")
    command.set_defaults(command=_health)

    command = commands.add_parser("migrate", help="bring the database of DATABASE_URL up to date")
    command.set_defaults(command=_migrate)
    return parser


def _serve(config: Config, _: argparse.Namespace) -> int:
    trio.run(partial(serve, config))
    return 0


def _demo(config: Config, arguments: argparse.Namespace) -> int:
    # Imported here: the demo brings simulators along that a service never needs.
    from photochanger.demo.run import run_demo

    if "LOG_LEVEL" not in os.environ:
        logs.setup("WARNING")

    return trio.run(partial(run_demo, config, once=arguments.once, photo=arguments.photo))


def _shoot(_: Config, arguments: argparse.Namespace) -> int:
    from photochanger.demo.dslr.__main__ import main as shoot

    return shoot(arguments.rest)


def _health(config: Config, _: argparse.Namespace) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", config.port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        print(answer.read().decode())
        return 0 if answer.status == 200 else 1
    finally:
        connection.close()


def _migrate(config: Config, _: argparse.Namespace) -> int:
    from photochanger.db.migrate import upgrade

    if config.database_url is None:
        print("photochanger: set DATABASE_URL; the embedded database is migrated when it starts", file=sys.stderr)
        return 2
    upgrade(config.database_url, config.database_schema)
    print("The database is up to date.")
    return 0
