"""`python -m photochanger` is the command `photochanger`."""

import sys

from photochanger.cli import main

sys.exit(main())
