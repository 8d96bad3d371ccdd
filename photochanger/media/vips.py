"""libvips, set up once: the only place that imports pyvips. Everything else takes it from here.

Only JPEG, PNG and WebP can be loaded; operations are not cached (photos do not repeat) and each picture is
worked on by one thread, because `PictureThreads` already runs as many pictures at once as there are cores.
"""

import ctypes
import os

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # read by libvips when it is first loaded

import pyvips

LOADERS = ("Jpeg", "Png", "Webp")

_M_ARENA_MAX = -8  # from malloc.h of glibc


def _limit_arenas(arenas: int) -> None:
    """Let glibc keep at most `arenas` heaps: freed picture memory is reused instead of parked per thread.

    The same as MALLOC_ARENA_MAX, which would have to be set before the process starts. No-op without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, arenas)


def _set_up() -> None:
    pyvips.concurrency_set(int(os.environ["VIPS_CONCURRENCY"]))
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for kind in LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{kind}", False)
    if "MALLOC_ARENA_MAX" not in os.environ:
        _limit_arenas(2)


_set_up()

Image = pyvips.Image
Error = pyvips.Error

__all__ = ["LOADERS", "Error", "Image"]
