"""PTB-XL from PhysioNet: resumed, checked by SHA-256, eight connections."""

import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from urllib.parse import urljoin, urlsplit

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from ecg_temporal.ptbxl.raw import leaves_folder

VERSION = "1.0.3"
MIRRORS = (
    f"https://physionet-open.s3.amazonaws.com/ptb-xl/{VERSION}/",
    f"https://physionet.org/files/ptb-xl/{VERSION}/",
)
"""The open bucket first: it stays up when the site does not."""
SUMS = "SHA256SUMS.txt"
CONNECTIONS = 8
"""PhysioNet gives each connection about 50 KB/s and throttles many more than eight."""
ATTEMPTS = 5
TIMEOUT = (10, 30)
"""Seconds to connect, and between two bytes."""
LONGEST_PAUSE = 60
"""Seconds, also where the server asks for more."""
PATIENCE = 600
"""Seconds for one attempt at a file; the largest, of 6 MB, takes two minutes at PhysioNet's rate."""

_WANTED = re.compile(
    r"ptbxl_database\.csv|scp_statements\.csv|LICENSE\.txt|records100/\d{5}/\d{5}_lr\.(dat|hea)"
)


class DownloadError(OSError):
    """The dataset could not be fetched; the message names the file and what to do."""


class OneHostSession(requests.Session):
    """A session that follows redirects on the host it asked, and refuses those elsewhere or without HTTPS."""

    def get_redirect_target(self, response: requests.Response) -> str | None:
        """Return where `response` redirects to, if it does.

        Raises:
            requests.exceptions.InvalidURL: to another host, or from HTTPS to another scheme.

        """
        target = super().get_redirect_target(response)
        if target:
            asked, led = urlsplit(response.url), urlsplit(urljoin(response.url, target))
            if led.netloc != asked.netloc or asked.scheme == "https" != led.scheme:
                raise requests.exceptions.InvalidURL(f"it redirects to another host or scheme: {target}")
        return target


def download(tree: Path, mirrors: tuple[str, ...] = MIRRORS) -> dict[str, str]:
    """Fetch the tables and the 100 Hz records of PTB-XL into `tree`; what is there and right stays.

    Returns
    -------
    dict of str
        Where the files came from, for the manifest.

    Raises
    ------
    DownloadError
        No mirror answers, or a file stays wrong after several attempts. What is there is kept.

    """
    tree.mkdir(parents=True, exist_ok=True)
    session = OneHostSession()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    base, sums = _first_that_answers(session, mirrors)
    wanted = {name: sha for name, sha in sums.items() if _WANTED.fullmatch(name)}
    for table in ("ptbxl_database.csv", "scp_statements.csv"):
        if table not in wanted:
            raise DownloadError(f"{base}{SUMS} does not name {table}: is this PTB-XL {VERSION}?")
    with (
        FileLock(tree.with_name(f"{tree.name}.lock")),  # an experiment's fetch may want the same files
        ThreadPoolExecutor(CONNECTIONS) as pool,
        tqdm(total=len(wanted), unit="file", desc="downloading") as progress,
    ):
        stopped = Event()
        jobs = [
            pool.submit(fetch_file, session, base + name, tree / name, sha, stopped)
            for name, sha in wanted.items()
        ]
        try:
            for job in as_completed(jobs):
                job.result()
                progress.update()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return {"all files": base, "verified": f"SHA-256 of {len(wanted)} files"}


def parse_sums(text: str) -> dict[str, str]:
    """Return name → SHA-256 of a SHA256SUMS.txt.

    Raises:
        DownloadError: a line is malformed, or a name would leave the folder.

    """
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        sha, _, name = line.partition(" ")
        name = name.lstrip(" *")
        if not re.fullmatch(r"[0-9a-f]{64}", sha) or not name:
            raise DownloadError(f"{SUMS}, line {number} is not 'SHA-256 name': {line[:80]!r}")
        if leaves_folder(name):
            raise DownloadError(f"{SUMS}, line {number}: the name {name!r} leaves the folder")
        sums[name] = sha
    return sums


def fetch_file(session: requests.Session, url: str, path: Path, sha256: str, stopped: Event) -> None:
    """Fetch `url` to `path` unless it is there, resuming what an earlier attempt left in `path`.part.

    Raises:
        DownloadError: the content does not have this SHA-256, or the server fails, at every attempt; it
            refuses the file; or `stopped` is set, as another file's failure or Ctrl-C does. What has come is
            kept.

    """
    if path.exists() and _has_sha256(path, sha256):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        wait = pause(attempt)
        try:
            _append(session, url, part, stopped)
            if _has_sha256(part, sha256):
                part.replace(path)
                return
            reason = "its SHA-256 is not the one in SHA256SUMS.txt"
            part.unlink()
        except (requests.RequestException, HTTPError) as error:
            reason = str(error)
            if _is_final(error):
                break
            wait = asked_pause(error, attempt)
        if attempt < ATTEMPTS:
            stopped.wait(wait)
    told = f"{attempt} attempt{'s' if attempt > 1 else ''}"
    raise DownloadError(f"{url}: {reason} ({told}); run the same command again to go on")


def _has_sha256(path: Path, sha256: str) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def pause(attempt: int) -> float:
    """Return the seconds to wait before the `attempt`-th new attempt, more each time."""
    return min(0.5 * 2.0**attempt, 20)


def asked_pause(error: Exception, attempt: int) -> float:
    """Return the seconds to wait after `error`: as many as the server asks for, up to LONGEST_PAUSE."""
    response = getattr(error, "response", None)
    asked = "" if response is None else response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else pause(attempt)


def _is_final(error: Exception) -> bool:
    """Return whether the server says that another attempt would not help."""
    response = getattr(error, "response", None)
    return (
        response is not None and 400 <= response.status_code < 500 and response.status_code not in (408, 429)
    )


def _append(session: requests.Session, url: str, part: Path, stopped: Event) -> None:
    if stopped.is_set():
        raise DownloadError(f"{url}: stopped; run the same command again to go on")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # nothing is left to send
            return
        response.raise_for_status()
        # A server that ignores Range starts from the beginning again.
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            end = time.monotonic() + PATIENCE
            while chunk := response.raw.read1(1 << 16, decode_content=True):
                file.write(chunk)  # what came before a break is kept
                if stopped.is_set():
                    raise DownloadError(f"{url}: stopped; run the same command again to go on")
                if time.monotonic() > end:
                    raise requests.Timeout(f"not done after {PATIENCE} seconds")


def _first_that_answers(session: requests.Session, mirrors: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the first of `mirrors` with a SHA256SUMS.txt, parsed; a network's login page is none."""
    reasons = []
    for base in mirrors:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = session.get(base + SUMS, timeout=TIMEOUT)
                response.raise_for_status()
                return base, parse_sums(response.text)
            except (requests.RequestException, DownloadError) as error:
                if attempt == ATTEMPTS or isinstance(error, DownloadError) or _is_final(error):
                    reasons.append(f"{base}: {error}")
                    break
                time.sleep(asked_pause(error, attempt))
    raise DownloadError(
        "PhysioNet does not answer as it should; try later, or set PTBXL_DIR to a folder with PTB-XL: "
        + "; ".join(reasons)
    )
