"""What the tests need from the system: installed where that can be done, named where it cannot."""

import os
import shutil
import subprocess
import sys

NEEDED = {"openssl": "openssl", "ps": "procps"}
"""Program → package of Debian and Ubuntu."""


def main() -> int:
    """Install what is missing; exit 1, naming it, where that is not possible. Nothing is skipped for want of it."""
    missing = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})
    if not missing:
        return 0
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"· Installing {', '.join(missing)}", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)  # type: ignore[call-overload]
        subprocess.run(["apt-get", "install", "-y", "-qq", *missing], check=True, **quiet)  # type: ignore[call-overload]
        return 0
    print(f"The tests need these programs, please install them: {', '.join(missing)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
