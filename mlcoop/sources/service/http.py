"""One client for all providers: cache first, then polite, patient and careful requests.

An answer is checked before it is cached, so what is in the cache was once a good answer. A key
goes into the request that is sent and nowhere else: addresses in records, errors and logs are
written without it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import platformdirs
import requests
import tenacity

from mlcoop import __version__
from mlcoop.errors import DataError, SourceError
from mlcoop.sources.service.allowance import Allowances
from mlcoop.sources.service.asking import (
    Answer,
    BudgetSpent,
    NotFound,
    Progress,
    Request,
)
from mlcoop.sources.service.cache import Cache, Record, is_loopback, stable
from mlcoop.sources.service.patience import (
    ATTEMPTS_UNREACHABLE,
    LONGEST_WAIT_S,
    PATIENCE_S,
    STALL_S,
    Passing,
    Redact,
    expect_progress,
    failure_of,
    is_unreachable,
    pause_before,
    without,
)
from mlcoop.sources.service.registry import SOURCES, Source

# Requests under way at once: what a second or so of waiting for each allows at ten a second.
WORKERS = 12
__all__ = ["Answer", "BudgetSpent", "Client", "NotFound", "Progress", "Request"]


class _Stopped(Exception):
    """Another request of the same batch failed for good."""


class Client:
    """Ask the providers, through a cache on disk.

    Parameters
    ----------
    cache_dir : path or None
        None: `MLCOOP_CACHE_DIR`, else the user's cache folder.
    environ : mapping or None
        Where addresses of mirrors (`MLCOOP_*_URL`), keys and the cache's place are read; None is
        the process's environment.
    sleep : function of seconds
        For tests; None sleeps, and wakes when another request of the batch fails.

    Attributes
    ----------
    sent : int
        Requests sent so far, retries included.
    allowances : Allowances
        What the services last said of the requests still allowed.
    warnings : list of str
        Damage found in the cache and mended.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        timeout: tuple[float, float] = (10.0, 60.0),
        sleep: Callable[[float], None] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        env = os.environ if environ is None else environ
        self.cache = Cache(
            cache_dir or env.get("MLCOOP_CACHE_DIR") or platformdirs.user_cache_dir("mlcoop")
        )
        self.sent = 0
        self.warnings: list[str] = []
        self._bases = {name: env.get(s.url_env) or s.base for name, s in SOURCES.items()}
        self._keys = {name: env.get(s.key_env or "", "").strip() for name, s in SOURCES.items()}
        kinds = {
            name: ("keyed" if self._keys[name] else "keyless")
            + ("-mirror" if self.overridden(name) else "")
            for name in SOURCES
        }
        self.allowances = Allowances(self.cache, kinds, now)
        self._timeout, self._now = timeout, now
        self._stop = threading.Event()
        self._sleep: Callable[[float], Any] = sleep or self._stop.wait
        self._local = threading.local()
        self._guard = threading.Lock()
        self._next_turn: dict[str, datetime] = {}
        secrets = self._secrets()
        if secrets:
            logging.getLogger("urllib3.connectionpool").addFilter(Redact(secrets))

    def __repr__(self) -> str:
        return f"Client(cache_dir={str(self.cache.folder)!r})"

    def overridden(self, source: str) -> bool:
        """Say whether a mirror or a test server replaces the real service."""
        return self._bases[source].rstrip("/") != SOURCES[source].base

    def address(self, request: Request) -> str:
        """Return the address of a request, without any key."""
        query = urlencode(request.params, safe=":,|*/", quote_via=quote)
        base = self._bases[request.source].rstrip("/")
        return f"{base}/{request.path}" + (f"?{query}" if query else "")

    def cached(self, request: Request) -> bool:
        """Say whether the answer to a request is in the cache."""
        return self.cache.has(request.source, self._key(request))

    def get(self, request: Request) -> Answer:
        """Return the answer to a request, from the cache or from the service.

        Raises
        ------
        BudgetSpent
            The service allows no more requests today.
        NotFound
            It answers 404.
        SourceError
            It cannot be reached, stays down, or keeps giving answers that fail their check.
        """
        key = self._key(request)
        hit = self.cache.read(request.source, key)
        if hit:
            return Answer(*hit)
        address = self.address(request)
        try:
            with self.cache.lock(key):
                hit = self.cache.read(request.source, key)
                if hit:
                    return Answer(*hit)
                if self.cache.has(request.source, key):
                    self.warnings.append(
                        f"cache: the answer to {address} failed its checksum and was fetched again"
                    )
                return self._fetch(request, key, address)
        except OSError as error:
            raise DataError(
                f"cache {self.cache.folder}: cannot be written ({error.strerror or error}); "
                "set MLCOOP_CACHE_DIR to a folder that can"
            ) from error

    def get_many(
        self,
        requests_: Sequence[Request],
        *,
        workers: int = WORKERS,
        progress: Progress | None = None,
        what: str = "",
    ) -> list[Answer]:
        """Return the answers to many requests, in their order.

        Cached answers are read first. When a request fails for good, those under way are
        finished and cached, no other is sent, and the error is raised; `BudgetSpent` then says
        how many are done and left.
        """
        self._stop.clear()
        answers: dict[int, Answer] = {}
        missing = []
        for i, request in enumerate(requests_):
            hit = self.cache.read(request.source, self._key(request))
            if hit:
                answers[i] = Answer(*hit)
            else:
                missing.append(i)
        total = len(requests_)

        def one(i: int) -> None:
            if self._stop.is_set():
                raise _Stopped
            try:
                answers[i] = self.get(requests_[i])
            except BaseException:
                # Here and not in the waiting thread: no worker may take up another request.
                self._stop.set()
                raise
            if progress:
                progress(len(answers), total, what)

        if progress and total:
            progress(len(answers), total, what)
        pool = ThreadPoolExecutor(max_workers=max(1, min(workers, len(missing) or 1)))
        try:
            futures = [pool.submit(one, i) for i in missing]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [f.exception() for f in done if f.exception() is not None]
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._stop.clear()
            if missing:
                self.allowances.keep()
        real = [e for e in failed if not isinstance(e, _Stopped)]
        if real:
            error = real[0]
            if isinstance(error, BudgetSpent):
                raise error.counted(len(answers), total - len(answers)) from None
            assert error is not None
            raise error
        return [answers[i] for i in range(total)]

    def _key(self, request: Request) -> str:
        return self.cache.key(request.source, stable(self.address(request)))

    def _secrets(self) -> list[str]:
        keys = [key for key in self._keys.values() if key]
        return [*keys, *(quote(key, safe="") for key in keys)]

    def _fetch(self, request: Request, key: str, address: str) -> Answer:
        source = SOURCES[request.source]
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            stop=lambda state: (
                self._stop.is_set() or state.attempt_number >= failure_of(state).tries
            ),
            wait=lambda state: pause_before(failure_of(state), state.attempt_number),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            content = retrying(self._once, source, request, address, count())
        except Passing as failure:
            if self._stop.is_set():
                raise _Stopped from None
            raise SourceError(
                f"{source.label}: {failure.reason} at {address}, also after "
                f"{failure.tries - 1} more tries; try again later (what is cached stays)"
            ) from None
        record = Record(
            source=request.source,
            address=address,
            date=self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            licence=source.licence,
            version=(request.release(content) if request.release else source.release)
            + (", from a mirror" if self.overridden(source.name) else ""),
            about=dict(request.about),
        )
        self.cache.write(key, content, record)
        return Answer(content, record)

    def _once(
        self, source: Source, request: Request, address: str, earlier: Iterator[int]
    ) -> bytes:
        """Send a request once; raise Passing where another try may help."""
        if self._stop.is_set():
            raise _Stopped
        response = self._send(source, address, stall=STALL_S * 2 ** next(earlier))
        self.allowances.note(source.name, response.headers)
        status = response.status_code
        if status in (402, 403, 429):
            raise self._over_limit(source, response)
        if status >= 500 or status == 408:
            raise Passing(f"the service answered {status}")
        if status == 404:
            raise NotFound(f"{source.label}: {address} is not there (404)")
        if status == 401 and source.key_env:
            raise SourceError(
                f"{source.label}: the key in {source.key_env} is refused (401); correct or unset it"
                if self._keys[source.name]
                else f"{source.label}: {address} needs a key (401); set {source.key_env}"
            )
        if status != 200:
            raise SourceError(
                f"{source.label}: {address} was refused ({status}): {self._message(response)}"
            )
        content = response.content
        length = response.headers.get("Content-Length", "")
        if (
            length.isdigit()
            and not response.headers.get("Content-Encoding")
            and len(content) != int(length)
        ):
            raise Passing("the answer was cut short")
        try:
            request.check(content)
        except (ValueError, RecursionError) as error:
            reason = without(" ".join(str(error).split()), self._secrets())[:200]
            raise Passing(f"a bad answer ({reason})") from None
        return content

    def _send(self, source: Source, address: str, *, stall: float) -> requests.Response:
        local = is_loopback(address)
        if not local:
            self._wait_for_turn(source)
        url, key = address, self._keys[source.name]
        if key and source.key_param:
            url += ("&" if "?" in url else "?") + urlencode({source.key_param: key})
        with self._guard:
            self.sent += 1
        # The causes are not chained: their texts hold the address with the key in it.
        try:
            response = self._session(local).get(url, timeout=self._timeout, stream=True)
            expect_progress(response, stall)
            _ = response.content
            return response
        except requests.exceptions.ConnectionError as error:
            if is_unreachable(error):
                raise Passing("nobody answers", tries=ATTEMPTS_UNREACHABLE) from None
            raise Passing("the connection broke") from None
        except requests.exceptions.Timeout:
            raise Passing("no answer in time") from None
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ):
            raise Passing("the answer was cut short") from None
        except (requests.exceptions.RequestException, ValueError) as error:
            raise SourceError(
                f"{source.label}: {address} cannot be asked ({type(error).__name__}); "
                f"check {source.url_env}"
            ) from None

    def _session(self, local: bool) -> requests.Session:
        name = "loopback" if local else "outside"
        session = getattr(self._local, name, None)
        if session is None:
            session = requests.Session()
            # A proxy of the environment cannot reach this machine's own loopback.
            session.trust_env = not local
            session.headers["User-Agent"] = f"mlcoop/{__version__}"
            setattr(self._local, name, session)
        return session

    def _wait_for_turn(self, source: Source) -> None:
        with self._guard:
            now = self._now()
            turn = max(now, self._next_turn.get(source.name, now))
            self._next_turn[source.name] = turn + timedelta(seconds=1 / source.per_second)
        if turn > now:
            self._sleep((turn - now).total_seconds())

    def _over_limit(self, source: Source, response: requests.Response) -> Exception:
        pause = self._retry_after(response)
        budget = self.allowances.budgets.get(source.name)
        if pause is None and budget and budget.remaining == 0 and budget.reset_at:
            pause = (budget.reset_at - self._now()).total_seconds()
        if pause is not None and pause > PATIENCE_S:
            retry_at = self._now() + timedelta(seconds=pause)
            keyed = bool(self._keys[source.name])
            return BudgetSpent(source, retry_at, keyed=keyed, done=None, left=None)
        if response.status_code == 402:
            return SourceError(f"{source.label}: payment asked for (402); the allowance is spent")
        return Passing(
            f"the service asks to slow down ({response.status_code}: {self._message(response)})",
            pause=None if pause is None else max(0.0, pause),
        )

    def _retry_after(self, response: requests.Response) -> float | None:
        text = response.headers.get("Retry-After", "").strip()
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(text) - self._now()).total_seconds()
            except (ValueError, TypeError):
                return None
        return None if math.isnan(seconds) else min(seconds, LONGEST_WAIT_S)

    def _message(self, response: requests.Response) -> str:
        try:
            body = json.loads(response.content)
            text = str(body.get("message") or body.get("error") or "")
        except (ValueError, AttributeError):
            text = response.text
        return without(" ".join(text.split()), self._secrets())[:200] or "no reason given"
