"""The command `photochanger`: serve, demo, shoot, and what an operator does from a shell."""

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
from photochanger.config import Config
from photochanger.errors import DatabaseUnavailable, PhotoChangerError, SlotInvalid
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
        if isinstance(error, SlotInvalid):
            print(f"photochanger: {error.slot_id} was not changed:", *error.problems, sep="\n  ", file=sys.stderr)
            return 1
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

    command = commands.add_parser("signing-key", help="show the key with which a slot's clients sign their requests")
    command.add_argument("slot", help="the slot's id, for example slot-001")
    command.add_argument("--generation", type=int, help="of this signing_generation (default: the slot's own)")
    command.set_defaults(command=_signing_key)

    command = commands.add_parser("breaker", help="keep photos from a provider, or let them through, by hand")
    command.add_argument("provider", help="its name, as in a slot: gemini, turbotext or local")
    position = command.add_mutually_exclusive_group(required=True)
    position.add_argument("--open", dest="force", action="store_const", const="open", help="send it no photo")
    position.add_argument("--close", dest="force", action="store_const", const="closed", help="send it photos anyway")
    position.add_argument("--auto", dest="force", action="store_const", const=None, help="leave it to itself again")
    command.set_defaults(command=_breaker)

    command = commands.add_parser("slot", help="show a slot as JSON, or change it; with the service's own environment")
    command.add_argument("slot", help="the slot's id, for example slot-001")
    command.add_argument("--set", type=Path, metavar="FILE", help="a JSON document with the fields to change")
    command.set_defaults(command=_slot)

    command = commands.add_parser("template", help="pictures that travel with a slot's photos")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    command = actions.add_parser("add", help="keep a picture and bind it to a slot")
    command.add_argument("file", type=Path, help="JPEG, PNG or WebP")
    command.add_argument("--slot", required=True, help="the slot's id, for example slot-001")
    command.add_argument("--role", required=True, help="what it is for the provider, for example style")
    command.add_argument("--position", type=int, help="0 = the first; replaces what is there (default: behind all)")
    command.set_defaults(command=_add_template)
    command = actions.add_parser("remove", help="unbind a picture from a slot; the picture itself stays")
    command.add_argument("--slot", required=True, help="the slot's id, for example slot-001")
    command.add_argument("--position", type=int, required=True, help="as `photochanger slot` shows it")
    command.set_defaults(command=_remove_template)

    command = commands.add_parser("accounts", help="who may administrate; a running service knows it within a second")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    command = actions.add_parser("set-password", help="of an account, which is made when it is not there yet")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--permissions", metavar="a,b|all", help="what it may do (a new one: all; others keep theirs)")
    command.add_argument("--generate", action="store_true", help="make a password and print it, this once")
    command.set_defaults(command=_set_password)
    command = actions.add_parser("list", help="names and permissions")
    command.set_defaults(command=_list_accounts)
    command = actions.add_parser("remove", help="remove an account and log it out")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(command=_remove_account)
    command = actions.add_parser("unlock", help="let an account log in again that failed too often; asks the database")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(command=_unlock_account)
    command = commands.add_parser(
        "cleanup", help="remove files that have expired, as the running service does by itself"
    )
    command.add_argument("--slot", help="only this slot's, for example slot-001")
    command.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    command.set_defaults(command=_cleanup)

    command = commands.add_parser("migrate", help="bring the database of DATABASE_URL up to date")
    command.set_defaults(command=_migrate)
    return parser


# What a command needs beyond this is imported by it alone: `health` runs every half minute beside a service at work,
# and the whole service takes seconds of a processor to import.


def _serve(config: Config, _: argparse.Namespace) -> int:
    from photochanger.service import serve

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


def _signing_key(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.slots.house_key import house_secret
    from photochanger.slots.signing import derived_key, shown

    generation = arguments.generation
    if generation is None:
        generation = _generation(config, arguments.slot)
    print(shown(derived_key(house_secret(config.secrets_dir), arguments.slot, generation)))
    return 0


def _generation(config: Config, slot: str) -> int:
    from photochanger.slots.command import generation_of

    try:
        return trio.run(generation_of, config, slot)
    except (DatabaseUnavailable, BaseExceptionGroup) as raised:
        if not isinstance(unwrap(raised), DatabaseUnavailable):
            raise
        print(
            f"photochanger: the database cannot be asked whether {slot} is there and which generation it has: "
            "this is the key of generation 1",
            file=sys.stderr,
        )
        return 1


def _breaker(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.db.running import running_db
    from photochanger.providers.drivers import PROVIDERS
    from photochanger.providers.overrides import write_override

    if arguments.provider not in PROVIDERS:
        there_are = ", ".join(PROVIDERS)
        print(f"photochanger: there is no provider {arguments.provider!r}: there are {there_are}", file=sys.stderr)
        return 2

    async def write() -> None:
        async with running_db(config.database_url, config.database_schema, config.database_folder) as db:
            await write_override(db, arguments.provider, arguments.force, by="command line")

    trio.run(write)
    print(f"{arguments.provider}: {f'kept {arguments.force}' if arguments.force else 'left to itself'} from now on.")
    return 0


def _slot(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.slots.command import set_slot, show_slot

    if arguments.set is None:
        print(trio.run(show_slot, config, arguments.slot))
    else:
        print(trio.run(set_slot, config, arguments.slot, arguments.set))
    return 0


def _add_template(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.slots.command import add_slot_template

    it = arguments
    print(trio.run(add_slot_template, config, it.file, it.slot, it.role, it.position))
    return 0


def _remove_template(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.slots.command import remove_slot_template

    print(trio.run(remove_slot_template, config, arguments.slot, arguments.position))
    return 0


def _set_password(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.accounts.command import ask_password, new_password, set_password

    made = new_password()
    get = (lambda: made) if arguments.generate else ask_password
    # What is said goes aside, so that a made password stands alone on standard output.
    print(set_password(config.secrets_dir, arguments.name, get, arguments.permissions), file=sys.stderr)
    if arguments.generate:
        print(made)
    return 0


def _list_accounts(config: Config, _: argparse.Namespace) -> int:
    from photochanger.accounts.command import list_accounts

    print(list_accounts(config.secrets_dir))
    return 0


def _remove_account(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.accounts.command import remove_account

    print(remove_account(config.secrets_dir, arguments.name))
    return 0


def _unlock_account(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.accounts.command import unlock_account
    from photochanger.accounts.throttle import PURPOSE
    from photochanger.slots.house_key import derived, house_secret

    def key() -> bytes:
        return derived(house_secret(config.secrets_dir), PURPOSE)

    print(trio.run(unlock_account, config, arguments.name, key))
    return 0


def _cleanup(config: Config, arguments: argparse.Namespace) -> int:
    from photochanger.media.cleanup import clean_up, told

    swept = trio.run(partial(clean_up, config, slot_id=arguments.slot, dry_run=arguments.dry_run))
    print(told(swept, dry_run=arguments.dry_run))
    return 1 if swept.stuck else 0


def _migrate(config: Config, _: argparse.Namespace) -> int:
    from photochanger.db.migrate import upgrade

    if config.database_url is None:
        print("photochanger: set DATABASE_URL; the embedded database is migrated when it starts", file=sys.stderr)
        return 2
    upgrade(config.database_url, config.database_schema)
    print("The database is up to date.")
    return 0
