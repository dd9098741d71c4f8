import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from ecg_temporal.ptbxl import download
from ecg_temporal.ptbxl.download import DownloadError, parse_sums

PAUSE = download.pause  # the tests below have no time for it
FILES = {
    "ptbxl_database.csv": b"ecg_id\n1\n",
    "scp_statements.csv": b",a\n",
    "records100/00000/00001_lr.dat": bytes(range(256)) * 90,
    "records100/00000/00001_lr.hea": b"header",
    "records500/00000/00001_hr.dat": b"not wanted",
}


class Server(ThreadingHTTPServer):
    """A loopback stand-in for PhysioNet that misbehaves as `faults` says: path → faults, one a request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests = {}, []
        self.files = dict(FILES)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.requests.append((name, self.headers.get("Range")))
        faults = self.server.faults.get(name, [])
        fault = faults.pop(0) if faults else None
        content = self.server.files.get(name)
        if name == "SHA256SUMS.txt":
            content = "".join(f"{hashlib.sha256(v).hexdigest()} {k}\n" for k, v in FILES.items()).encode()
        if isinstance(fault, str) and fault.startswith("http"):
            self.send_response(302)
            self.send_header("Location", fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "later":
            self.send_response(429)
            self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "login":
            content = b"<html>Welcome to our network</html>"
        if isinstance(fault, int) or content is None:
            self.send_response(fault or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if (span := self.headers.get("Range")) and fault != "ignore range":
            start = int(span.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if fault == "wrong":
            body = bytes(len(body))
        if fault == "drip":
            for k in range(200):
                self.wfile.write(body[k : k + 1])
                time.sleep(0.02)
        elif fault == "stall":
            self.wfile.write(body[: len(body) // 2])
            time.sleep(1)
        else:
            self.wfile.write(body[: len(body) // 2] if fault == "truncate" else body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "pause", lambda attempt: 0)  # test_attempts_are_further_and_further_apart
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def fetched(tree):
    return {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*") if p.is_file()}


WANTED = {name: content for name, content in FILES.items() if "500" not in name}


def test_of_two_at_once_the_second_waits_and_finds_all_there(server, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download.download, tmp_path / "tree", (server.url,)) for _ in range(2)]
        assert all(job.result() for job in both)
    assert fetched(tmp_path / "tree") == WANTED
    asked = [name for name, _ in server.requests if name != "SHA256SUMS.txt"]
    assert sorted(asked) == sorted(set(asked))


def test_a_networks_login_page_is_no_mirror(server, tmp_path):
    server.faults["SHA256SUMS.txt"] = ["login"]
    sources = download.download(tmp_path, (server.url, f"{server.url}/"))
    assert sources["all files"] == f"{server.url}/"
    server.faults["SHA256SUMS.txt"] = ["login"]
    with pytest.raises(download.DownloadError, match=rf"PTB-XL: {server.url}: .*<html>Welcome"):
        download.download(tmp_path, (server.url,))


def test_the_hundred_hertz_files_arrive_once(server, tmp_path):
    sources = download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED
    assert sources["all files"] == server.url
    server.requests.clear()
    download.download(tmp_path, (server.url,))
    assert [name for name, _ in server.requests] == ["SHA256SUMS.txt"]


def test_what_is_there_and_wrong_is_fetched_anew(server, tmp_path):
    download.download(tmp_path, (server.url,))
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id\n2\n")
    server.requests.clear()
    download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED
    assert [name for name, _ in server.requests] == ["SHA256SUMS.txt", "ptbxl_database.csv"]


@pytest.mark.parametrize("fault", ["truncate", "wrong", 429, 500, 503])
def test_a_passing_fault_is_survived(server, tmp_path, fault):
    server.faults["records100/00000/00001_lr.dat"] = [fault, fault]
    download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED


def test_a_server_that_cannot_resume_sends_the_file_again(server, tmp_path):
    name = "records100/00000/00001_lr.dat"
    server.faults[name] = ["truncate", "ignore range"]
    download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED
    assert [bool(span) for path, span in server.requests if path == name] == [False, True]


def test_a_server_may_not_send_us_to_sleep_for_hours(server, tmp_path):
    asked = []

    class Stopped(threading.Event):
        def wait(self, timeout=None):
            asked.append(timeout)

    name = "records100/00000/00001_lr.dat"
    server.faults[name] = ["later", "later"]
    sha = hashlib.sha256(FILES[name]).hexdigest()
    download.fetch_file(download.OneHostSession(), server.url + name, tmp_path / "r.dat", sha, Stopped())
    assert (tmp_path / "r.dat").read_bytes() == FILES[name] and asked == [60, 60]


def test_a_server_that_is_down_is_asked_as_often_as_the_error_says_and_a_stop_is_heard_at_once(
    server, tmp_path
):
    name = "records100/00000/00001_lr.dat"
    server.faults[name] = ["later"] * 99
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    start = time.monotonic()
    with pytest.raises(DownloadError, match="stopped"):  # the server asked for an hour
        download.fetch_file(download.OneHostSession(), server.url + name, tmp_path / "r", "0" * 64, stopped)
    assert time.monotonic() - start < 5
    server.faults[name], server.requests[:] = [503] * 99, []
    with pytest.raises(DownloadError, match=r"503 .*\(5 attempts\)"):
        download.fetch_file(
            download.OneHostSession(), server.url + name, tmp_path / "r", "0" * 64, threading.Event()
        )
    assert len(server.requests) == 5


def test_a_file_that_the_server_does_not_have_is_asked_for_once(server, tmp_path):
    del server.files["records100/00000/00001_lr.dat"]
    with pytest.raises(DownloadError, match=r"00001_lr\.dat.*404.*\(1 attempt\)"):
        download.download(tmp_path, (server.url,))


def test_ctrl_c_ends_the_transfers_too_and_keeps_what_came(server, tmp_path, monkeypatch):
    part = tmp_path / "records100/00000/00001_lr.dat.part"

    def interrupted(jobs):
        while not part.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "as_completed", interrupted)
    server.faults["records100/00000/00001_lr.dat"] = ["drip"]
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        download.download(tmp_path, (server.url,))
    assert time.monotonic() - start < 3  # the whole file would drip for four seconds
    assert part.stat().st_size


def test_a_broken_transfer_is_resumed(server, tmp_path):
    name = "records100/00000/00001_lr.dat"
    server.faults[name] = ["truncate"]
    download.download(tmp_path, (server.url,))
    ranges = [span for path, span in server.requests if path == name]
    first, second = ranges
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= len(FILES[name]) // 2


def test_a_file_that_stays_wrong_is_refused_by_name_and_not_kept(server, tmp_path):
    server.files["records100/00000/00001_lr.hea"] = b"forged"
    with pytest.raises(DownloadError, match=r"00001_lr\.hea.*SHA-256"):
        download.download(tmp_path, (server.url,))
    assert not (tmp_path / "records100/00000/00001_lr.hea").exists()


def test_the_second_mirror_is_tried(server, tmp_path):
    nobody = "http://127.0.0.1:9/"
    assert download.download(tmp_path, (nobody, server.url))["all files"] == server.url
    with pytest.raises(DownloadError, match="PTBXL_DIR"):
        download.download(tmp_path, (nobody,))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil"])
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(DownloadError, match="leaves the folder"):
        parse_sums(f"{'0' * 64} {name}\n")


def test_lines_that_are_no_checksum_are_refused():
    with pytest.raises(DownloadError, match="line 2"):
        parse_sums(f"{'0' * 64} fine\nnonsense\n")


def test_a_list_without_the_tables_is_refused_before_any_record(server, tmp_path, monkeypatch):
    monkeypatch.delitem(FILES, "scp_statements.csv")
    with pytest.raises(DownloadError, match=r"does not name scp_statements\.csv: is this PTB-XL 1\.0\.3\?"):
        download.download(tmp_path, (server.url,))
    assert [name for name, _ in server.requests] == ["SHA256SUMS.txt"]


def test_a_server_that_stalls_is_left_and_the_file_resumed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.3))
    server.faults["records100/00000/00001_lr.dat"] = ["stall", "stall"]
    download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED


def test_a_server_that_drips_does_not_keep_us_for_ever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    server.faults["records100/00000/00001_lr.dat"] = ["drip"] * 100
    with pytest.raises(DownloadError, match=r"00001_lr\.dat: not done after 0.2 seconds"):
        download.download(tmp_path, (server.url,))


@pytest.mark.parametrize(
    ("target", "follows"), [("https://a.org/y", True), ("/y", True), ("http://a.org/y", False)]
)
def test_a_redirect_does_not_leave_https(target, follows):
    response = requests.Response()
    response.status_code, response.url = 302, "https://a.org/x"
    response.headers["location"] = target
    if follows:
        assert download.OneHostSession().get_redirect_target(response) == target
    else:
        with pytest.raises(requests.exceptions.InvalidURL, match="another host or scheme"):
            download.OneHostSession().get_redirect_target(response)


def test_a_redirect_is_followed_on_the_host_and_refused_off_it(server, tmp_path):
    name = "records100/00000/00001_lr.hea"
    server.faults[name] = [server.url + name]
    download.download(tmp_path, (server.url,))
    assert fetched(tmp_path) == WANTED
    (tmp_path / name).unlink()
    server.faults[name] = [f"http://localhost:{server.server_port}/{name}"] * 100
    with pytest.raises(DownloadError, match="another host"):
        download.download(tmp_path, (server.url,))


def test_attempts_are_further_and_further_apart_up_to_twenty_seconds():
    waits = [PAUSE(attempt) for attempt in range(1, 12)]
    assert waits == sorted(waits) and waits[0] == 1 and waits[-1] == 20


@pytest.mark.parametrize(("fault", "part"), [(416, True), (408, False)])
def test_a_server_that_has_no_more_or_waited_in_vain_is_asked_again(server, tmp_path, fault, part):
    """416: killed before a whole part was renamed, so that the server has nothing after its end."""
    name = "records100/00000/00001_lr.dat"
    server.faults[name] = [fault]
    if part:
        (tmp_path / "r.dat.part").write_bytes(FILES[name])
    sha256 = hashlib.sha256(FILES[name]).hexdigest()
    session, stop = download.OneHostSession(), threading.Event()
    download.fetch_file(session, server.url + name, tmp_path / "r.dat", sha256, stop)
    assert (tmp_path / "r.dat").read_bytes() == FILES[name]
