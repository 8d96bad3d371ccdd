#!/usr/bin/env python3
"""Remove expired pictures, for cron or a systemd timer; with the service's own environment and its Python.

    python cleanup_media.py [--slot slot-001] [--dry-run] [--syslog]

Says in one line what was done, on stdout or to syslog (facility daemon). Exit code 0 when all that was due is gone, 1
when some files could not be removed, 2 when it could not be tried: no database, no media folder, wrong settings. The
service cleans up by itself; this is for houses where that is switched off, or where the service is stopped.
"""

import argparse
import logging
import logging.handlers
import sys
from functools import partial
from pathlib import Path

import trio

from photochanger.config import Config
from photochanger.errors import PhotoChangerError
from photochanger.media.cleanup import clean_up, told
from supervisors import unwrap

log = logging.getLogger("cleanup_media")


def main() -> int:
    """Clean up once; the process's exit code."""
    parser = argparse.ArgumentParser(description="Remove expired pictures of PhotoChanger.")
    parser.add_argument("--slot", help="only this slot's")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--syslog", action="store_true", help="to syslog instead of stdout")
    arguments = parser.parse_args()
    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if arguments.syslog:
        facility = logging.handlers.SysLogHandler.LOG_DAEMON
        socket = "/dev/log" if Path("/dev/log").exists() else ("localhost", 514)
        handler = logging.handlers.SysLogHandler(socket, facility)
        handler.ident = "photochanger-cleanup: "
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", handlers=[handler])
    try:
        config = Config.from_env()
        swept = trio.run(partial(clean_up, config, slot_id=arguments.slot, dry_run=arguments.dry_run))
    except BaseException as raised:
        error = unwrap(raised)
        if not isinstance(error, PhotoChangerError | OSError):
            raise
        log.error("nothing was cleaned up: %s", error)
        return 2
    log.log(logging.WARNING if swept.stuck else logging.INFO, told(swept, dry_run=arguments.dry_run))
    return 1 if swept.stuck else 0


if __name__ == "__main__":
    sys.exit(main())
