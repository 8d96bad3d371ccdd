"""Try a slot by hand: python -m photochanger.demo.dslr URL PHOTO --password-file FILE --save out.jpg"""

import argparse
import ssl
import sys
from pathlib import Path

import trio

from photochanger.demo.dslr.client import Shot, shoot
from photochanger.demo.dslr.options import Options

EPILOG = "exit codes: 0 the booth prints the modified photo, 1 it prints its original, 2 the command cannot be run"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser("python -m photochanger.demo.dslr", description=__doc__, epilog=EPILOG)
    parser.add_argument("url", help="ingest URL of the slot")
    parser.add_argument("photo", type=Path, help="the photo to send, JPEG or PNG")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="first line is the slot's password")
    parser.add_argument("--save", type=Path, metavar="FILE", help="where to keep the modified photo")
    parser.add_argument("--timeout", type=float, default=50.0, metavar="SECONDS", help="the booth's patience (50)")
    parser.add_argument("--field", action="append", default=[], metavar="NAME=VALUE", help="a survey answer")
    parser.add_argument("--cp1251", action="store_true", help="send text as Windows-1251 instead of UTF-8")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificate that signed the server's, for https")
    given = parser.parse_args(arguments)
    if not all("=" in field for field in given.field):
        parser.error("--field wants NAME=VALUE")
    try:
        password = given.password_file.read_text("utf-8").split("\n")[0].rstrip("\r") if given.password_file else None
        options = Options(
            timeout=given.timeout,
            fields=dict(field.split("=", 1) for field in given.field),
            encoding="cp1251" if given.cp1251 else "utf-8",
            ssl_context=ssl.create_default_context(cafile=given.ca_file) if given.ca_file else None,
        )
        shot = trio.run(_shoot, given.url, given.photo, password, options, given.save)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(report(shot))
    return 0 if shot.verdict == "modified" else 1


def report(shot: Shot) -> str:
    """A few lines for a person."""
    lines = {
        "verdict": f"{shot.verdict}: {shot.why}",
        "status": str(shot.status or "none"),
        "elapsed": f"{shot.elapsed:.3f} s",
        "saved": str(shot.path) if shot.path else None,
        "result": shot.header("x-photochanger-result"),
        "job": shot.header("x-job-id"),
        "link": shot.header("link"),
        "reason": (shot.problem or {}).get("failure_reason"),
        "detail": (shot.problem or {}).get("detail"),
    }
    return "".join(f"{name:8} {value}\n" for name, value in lines.items() if value)


async def _shoot(url: str, photo: Path, password: str | None, options: Options, save_to: Path | None) -> Shot:
    return await shoot(url, photo, password=password, options=options, save_to=save_to)


if __name__ == "__main__":
    sys.exit(main())
