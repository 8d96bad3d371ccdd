"""From a picture's address to its file: which addresses are taken, who is shown the key, what counts as a picture."""

import ssl
import string
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import trio

from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.errors import StorageUnavailable
from photochanger.providers.http import ReplyTooLarge, TransportFailed, is_loopback
from photochanger.providers.turbotext.fetch import Fetched, Fetcher, ForbiddenAddress
from photochanger.providers.turbotext.outcomes import bad_answer
from photochanger.providers.turbotext.wire import SITE, absolute

PICTURE_CAP: Final = 64 * 1024 * 1024
"""Bytes of a picture; the documented ones are PNGs of a million pixels."""

ADDRESS_LIMIT: Final = 4000
"""Characters of a picture's address."""

REDIRECTS: Final = 3
TRIES: Final = 3
PAUSE: Final = 1.0
"""Seconds between two tries of a download; the picture is paid for, and downloading it again costs nothing."""

_DOMAIN: Final = "turbotext.ru"
_MOVED: Final = (301, 302, 303, 307, 308)


class Downloads:
    """Fetches finished pictures.

    The first address may be at any host of the open internet, because the provider named it in an answer to our key.
    A redirect is followed to the provider's own hosts only. The key is shown to those only, and only after the picture
    was refused without it. Where the provider is on loopback, its own host is the only own one.
    """

    def __init__(
        self,
        base: SplitResult,
        key: str | None,
        ssl_context: ssl.SSLContext,
        *,
        cap: int,
        limiter: trio.CapacityLimiter,
        pause: float,
    ) -> None:
        self._base = base
        self._loopback = is_loopback(base.hostname or "")
        self._site = f"{base.scheme}://{base.netloc}/" if self._loopback else SITE
        self._has_key = key is not None
        self._fetcher = Fetcher(ssl_context, key, loopback=self._loopback, cap=cap, limiter=limiter)
        self._pause = pause

    async def save(self, address: str, path: Path) -> Picture | AttemptOutcome:
        """The picture in `path`, or why there is none. Tries again while it is the network or the server that fails."""
        result = await self._once(address, path)
        for _ in range(TRIES - 1):
            if isinstance(result, Picture) or result.verdict not in (Verdict.TRANSPORT, Verdict.OVERLOADED):
                break
            await trio.sleep(self._pause)
            result = await self._once(address, path)
        return result

    async def _once(self, address: str, path: Path) -> Picture | AttemptOutcome:
        try:
            url = _plain(absolute(address, self._site))
            for _ in range(REDIRECTS + 1):
                if fault := self._fault(url):
                    return bad_answer(fault, code="PICTURE_ADDRESS")
                fetched = await self._fetcher.get(url, path)
                if fetched.status in (401, 403) and self._has_key and self._is_own(url):
                    fetched = await self._fetcher.get(url, path, show_key=True)
                if fetched.status not in _MOVED:
                    return _judge(fetched, path)
                url = _plain(urljoin(url, fetched.headers.get("location", "")))
                if not self._is_own(url):
                    host = urlsplit(url).hostname or "nowhere"
                    return bad_answer(f"the picture's address redirects to a foreign host, {host}", code="REDIRECT")
        except ValueError:
            return bad_answer("the picture's address is none", code="PICTURE_ADDRESS")
        except ForbiddenAddress as error:
            return bad_answer(f"the picture's address: {error}", code="PICTURE_ADDRESS")
        except ReplyTooLarge as error:
            return bad_answer(str(error), code="PICTURE_SIZE")
        except TransportFailed as error:
            return AttemptOutcome(Verdict.TRANSPORT, error_code="PICTURE", message=f"the picture: {error}")
        except StorageUnavailable as error:
            return AttemptOutcome(Verdict.STORAGE, message=str(error))
        return bad_answer(f"the picture's address redirects more than {REDIRECTS} times", code="REDIRECT")

    def _fault(self, url: str) -> str | None:
        """What is wrong with an address before anybody is asked; None when nothing is."""
        parsed = urlsplit(url)
        host = parsed.hostname or ""
        if parsed.scheme != "https" and not (parsed.scheme == "http" and self._loopback and is_loopback(host)):
            return f"the picture's address is not https but {parsed.scheme[:20] or 'nothing'}"
        if len(url) > ADDRESS_LIMIT:
            return "the picture's address is too long"
        if not host or not parsed.netloc.isascii() or parsed.username is not None or parsed.port == 0:
            return "the picture's address has no proper host"
        return None

    def _is_own(self, url: str) -> bool:
        """Is it the provider's own server, to which the key may be shown?"""
        parsed = urlsplit(url)
        if self._loopback:
            return (parsed.scheme, parsed.netloc) == (self._base.scheme, self._base.netloc)
        host = (parsed.hostname or "").rstrip(".")
        own = host == _DOMAIN or host.endswith(f".{_DOMAIN}")
        return own and parsed.scheme == "https" and parsed.port in (None, 443) and parsed.username is None


def _judge(fetched: Fetched, path: Path) -> Picture | AttemptOutcome:
    """What a last answer is worth. Whether the bytes are a picture is judged where pictures are decoded."""
    status = fetched.status
    if status != 200:
        if status in (408, 429) or status >= 500:
            said = f"the picture's server answered {status}"
            return AttemptOutcome(Verdict.OVERLOADED, http_status=status, error_code="PICTURE", message=said)
        said = "the picture is gone" if status in (404, 410) else "the picture is not given out"
        return bad_answer(f"{said} (status {status})", code="PICTURE_STATUS", http_status=status)
    if fetched.size == 0:
        return bad_answer("the picture is empty", code="PICTURE_BODY")
    mime = fetched.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime in ("text/html", "application/json") or fetched.start.lstrip()[:1] in (b"<", b"{"):
        said = fetched.start[:200].decode("utf-8", "replace")
        return bad_answer(f"a text came instead of the picture: {said!r}", code="PICTURE_BODY")
    return Picture(path, mime or "application/octet-stream")


def _plain(url: str) -> str:
    """The address in ASCII, its path and query quoted where they were not. Raises ValueError for a broken one."""
    parsed = urlsplit(url)
    keep = string.punctuation
    return parsed._replace(path=quote(parsed.path, keep), query=quote(parsed.query, keep), fragment="").geturl()
