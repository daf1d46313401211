"""Attachments: fetched once, streamed to disk, and never a way into the network the bridge stands in."""

from __future__ import annotations

import asyncio
import importlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from bridge.attachments import AttachmentError, Downloader, is_public
from bridge.attachments.content import refuse_wrong_content, safe_name, sniff, type_of
from bridge.config import AttachmentSettings
from bridge.model import Attachment, AttachmentFile

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PAGE = b"\n<!DOCTYPE html><title>Please sign in</title>"


class Files:
    """A real file server on a local address: answers by path, and remembers what it was asked."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        files = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                files.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                status, headers, body = files.answers.get(self.path, (404, {}, b"not here"))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:100])
                self.wfile.flush()
                files.gate.wait(10)
                self.wfile.write(body[100:])
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that went away is part of these tests

        self._server = Server((host, port), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, path: str, body: bytes = PNG, status: int = 200, **headers: str) -> str:
        self.answers[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def files(servers) -> Files:
    files = Files()
    servers.callback(files.close)
    return files


class Names:
    """A resolver with a fixed table. Several lists for a name are given one after another, as rebinding does."""

    def __init__(self, **names: list[str] | list[list[str]]) -> None:
        self.names = {name.replace("_", "."): _lists(addresses) for name, addresses in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError(f"no {host}")
        lists = self.names[host]
        return lists.pop(0) if len(lists) > 1 else lists[0]


def _lists(addresses: list[str] | list[list[str]]) -> list[list[str]]:
    several = [one for one in addresses if isinstance(one, list)]
    return several or [[one for one in addresses if isinstance(one, str)]]


class Recorder(httpx.AsyncBaseTransport):
    """Stands where the network would be, where a test must not reach the internet."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self.answers:
            raise httpx.ConnectError("nobody there")
        return self.answers.pop(0)


@pytest.fixture
def settings(tmp_path):
    def settings(**changes) -> AttachmentSettings:
        return AttachmentSettings(spool=tmp_path / "spool", **changes)

    return settings


@pytest.fixture
def local(settings):
    """Makes a downloader that may fetch from this machine over plain HTTP."""

    def local(resolve=None, **changes) -> Downloader:
        more = {"resolve": resolve} if resolve else {}
        return Downloader(settings(**{"allow_http": True, "allow_private": True, **changes}), **more)

    return local


def fetch(downloader: Downloader, url: str, kind: str = "image/png") -> AttachmentFile:
    return asyncio.run(downloader.fetch(Attachment(url=url, type=kind)))


def refused(downloader: Downloader, url: str, kind: str = "image/png") -> AttachmentError:
    with pytest.raises(AttachmentError) as caught:
        fetch(downloader, url, kind)
    return caught.value


def spooled(settings_or_path) -> list[Path]:
    return sorted(settings_or_path.glob("*"))


class TestFetching:
    def test_a_file_is_on_disk_with_its_name_type_and_size(self, local, files):
        url = files.put("/a/screen%20shot.png?signature=hush")

        file = fetch(local(), url)

        assert file.path.read_bytes() == PNG
        assert (file.name, file.type, file.size, file.url) == ("screen shot.png", "image/png", len(PNG), url)

    def test_the_second_fetch_uses_the_first_ones_file(self, local, files):
        url, downloader = files.put("/a.png"), local()

        assert fetch(downloader, url) == fetch(downloader, url)
        assert len(files.requests) == 1

    def test_a_restarted_bridge_finds_what_is_there(self, local, files):
        url = files.put("/a.png")

        assert fetch(local(), url) == fetch(local(), url)
        assert len(files.requests) == 1

    def test_two_at_once_share_one_download(self, local, files):
        async def both():
            downloader, attachment = local(), Attachment(url=files.put("/a.png"), type="image/png")
            return await asyncio.gather(downloader.fetch(attachment), downloader.fetch(attachment))

        first, second = asyncio.run(both())

        assert first == second
        assert len(files.requests) == 1

    def test_no_credential_or_cookie_is_ever_sent(self, local, files, monkeypatch, tmp_path):
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hush")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        files.put("/from.png", b"", 302, Location="/to.png", Set_Cookie="session=1")
        files.put("/to.png")

        fetch(local(), files.url.replace("//", "//user:password@") + "/from.png")

        for _, headers in files.requests:
            assert not {"authorization", "cookie", "proxy-authorization"} & set(headers)
            assert headers["host"] == f"127.0.0.1:{files.port}"

    def test_a_proxy_of_the_environment_is_not_used(self, local, files, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

        assert fetch(local(), files.put("/a.png")).size == len(PNG)

    def test_redirects_are_followed(self, local, files):
        files.put("/1", b"", 302, Location="/2")
        files.put("/2", b"", 307, Location=f"{files.url}/3.png")
        files.put("/3.png")

        assert fetch(local(), f"{files.url}/1").path.read_bytes() == PNG

    def test_but_not_for_ever(self, local, files):
        files.put("/loop", b"", 302, Location="/loop")

        error = refused(local(), f"{files.url}/loop")

        assert (str(error), error.retry) == ("redirected more than 5 times", False)
        assert len(files.requests) == 6

    def test_the_next_address_is_tried_when_one_does_not_answer(self, local, files):
        names = Names(files_test=["127.0.0.2", "127.0.0.1"])  # the server listens on 127.0.0.1 only

        files.put("/a.png")

        assert fetch(local(names), f"http://files.test:{files.port}/a.png").size == len(PNG)
        assert files.requests[0][1]["host"] == f"files.test:{files.port}"


class TestLimits:
    def test_a_file_announced_too_large_is_not_begun(self, local, files, tmp_path):
        error = refused(local(max_size=1000), files.put("/a.png"))

        assert "[attachments] max_size" in str(error)
        assert not error.retry
        assert spooled(tmp_path / "spool") == []

    def test_a_file_that_grows_too_large_is_given_up(self, local, files, tmp_path):
        url = files.put("/a.png", Content_Length="")

        assert "[attachments] max_size" in str(refused(local(max_size=1000), url))
        assert spooled(tmp_path / "spool") == []

    def test_a_full_spool_is_tried_again_later(self, local, files):
        downloader = local(max_spool=len(PNG) + 10)
        first = fetch(downloader, files.put("/a.png"))

        error = refused(downloader, files.put("/b.png"))
        assert (str(error), error.retry) == ("the spool is full ([attachments] max_spool)", True)

        downloader.drop(first)
        assert fetch(downloader, f"{files.url}/b.png").size == len(PNG)

    def test_a_server_that_stalls_is_given_up(self, local, files, tmp_path):
        files.gate.clear()

        error = refused(local(timeout="200ms"), files.put("/a.png"))

        assert (str(error), error.retry) == ("not there after 200ms", True)
        assert spooled(tmp_path / "spool") == []

    def test_half_a_file_is_tried_again(self, local, files, tmp_path):
        error = refused(local(), files.put("/a.png", Content_Length="20000"))

        assert "the connection broke" in str(error)
        assert error.retry
        assert spooled(tmp_path / "spool") == []

    def test_nobody_there_is_tried_again(self, local, files):
        files.close()

        assert refused(local(), files.put("/a.png")).retry

    @pytest.mark.parametrize(
        ("status", "retry"),
        [(403, False), (404, False), (410, False), (204, False), (429, True), (500, True), (503, True)],
    )
    def test_a_status_other_than_200_is_told(self, local, files, status, retry):
        error = refused(local(), files.put("/a.png", b"", status))

        assert (str(error), error.retry) == (f"the server answered HTTP {status}", retry)

    def test_a_spool_that_cannot_be_written_is_tried_again(self, local, files, tmp_path):
        (tmp_path / "spool").write_text("a file where the folder should be")

        assert refused(local(), files.put("/a.png")).retry

    @pytest.mark.parametrize(
        ("body", "kind", "words"),
        [
            (b"", "image/png", "the file is empty"),
            (PAGE, "image/png", "a web page came instead of image/png, perhaps a sign-in page"),
            (PAGE, "", "a web page came instead of a file, perhaps a sign-in page"),
            (b"AccessDenied", "video/mp4", "it should be video/mp4, but its content is text/plain"),
            (b"MZ\x90\0\3\0", "image/png", "it should be image/png, but its content is something else"),
        ],
    )
    def test_something_else_than_the_file_is_refused(self, local, files, tmp_path, body, kind, words):
        error = refused(local(), files.put("/a", body), kind)

        assert (str(error), error.retry) == (words, False)
        assert spooled(tmp_path / "spool") == []


class TestGivingBack:
    def test_a_file_is_removed_when_the_last_one_gave_it_back(self, local, files):
        downloader, url = local(), files.put("/a.png")
        first, second = fetch(downloader, url), fetch(downloader, url)

        downloader.drop(first)
        assert second.path.exists()

        downloader.drop(second)
        assert not second.path.exists()

    def test_giving_back_twice_does_no_harm(self, local, files):
        downloader = local()
        file = fetch(downloader, files.put("/a.png"))

        downloader.drop(file)
        downloader.drop(file)

        assert not file.path.exists()

    def test_cleaning_removes_what_an_earlier_run_left_behind(self, settings, local, files):
        class Tomorrow:
            def now(self):
                return datetime.now(UTC) + timedelta(days=1)

            def monotonic(self):
                return 0.0

        left_behind = fetch(local(), files.put("/a.png"))
        downloader = Downloader(settings(allow_http=True, allow_private=True), clock=Tomorrow())
        held = fetch(downloader, files.put("/b.png"))

        assert downloader.clean(timedelta(days=2)) == 0
        assert downloader.clean(timedelta(hours=1)) == 1
        assert held.path.exists()
        assert not left_behind.path.exists()

    def test_cleaning_before_there_is_a_spool_does_nothing(self, local):
        assert local().clean(timedelta(0)) == 0


PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1",
]  # fmt: skip


class TestGuard:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_an_address_that_is_not_of_the_open_internet_is_refused(self, settings, address):
        network = Recorder()
        downloader = Downloader(settings(), resolve=Names(files_test=[address]), transport=lambda: network)

        error = refused(downloader, "https://files.test/a.png")

        assert str(error) == f"files.test is at the private address {address}: not fetched"
        assert not error.retry
        assert network.requests == []

    @pytest.mark.parametrize(
        "address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
    )
    def test_public_addresses_are_public(self, address):
        assert is_public(address)

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f000001"])
    def test_every_way_to_write_this_machine_is_refused(self, settings, host):
        assert "private address" in str(refused(Downloader(settings()), f"https://{host}/a.png"))

    def test_one_private_address_among_public_ones_is_enough(self, settings):
        names = Names(files_test=["93.184.216.34", "10.0.0.1"])

        assert "10.0.0.1" in str(refused(Downloader(settings(), resolve=names), "https://files.test/a.png"))

    def test_the_connection_goes_to_the_checked_address_under_the_hosts_name(self, settings):
        network = Recorder(httpx.Response(200, content=PNG))
        names = Names(files_test=["93.184.216.34"])

        fetch(Downloader(settings(), resolve=names, transport=lambda: network), "https://files.test:8443/a.png")

        (request,) = network.requests
        assert request.url == "https://93.184.216.34:8443/a.png"
        assert request.headers["Host"] == "files.test:8443"
        assert request.extensions["sni_hostname"] == "files.test"

    def test_a_name_that_changes_its_address_after_the_check_leads_nowhere_else(self, settings):
        network = Recorder(httpx.Response(200, content=PNG))
        names = Names(files_test=[["93.184.216.34"], ["127.0.0.1"]])

        fetch(Downloader(settings(), resolve=names, transport=lambda: network), "https://files.test/a.png")

        assert names.asked == ["files.test"]
        assert [request.url.host for request in network.requests] == ["93.184.216.34"]

    def test_nor_on_a_real_socket(self, local, files, servers):
        other = Files("127.0.0.2", files.port)
        servers.callback(other.close)
        names = Names(files_test=[["127.0.0.1"], ["127.0.0.2"]])
        files.put("/a.png")

        fetch(local(names), f"http://files.test:{files.port}/a.png")

        assert (len(files.requests), len(other.requests)) == (1, 0)

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("https://127.0.0.1/secrets", "127.0.0.1 is at the private address 127.0.0.1: not fetched"),
            ("//inside.test/secrets", "inside.test is at the private address 10.0.0.1: not fetched"),
            ("http://files.test/a.png", "only https addresses are fetched, not http"),
            ("file:///etc/passwd", "only https addresses are fetched, not file"),
            ("https://files.test:99999/", "its address is none: there is no port 99999"),
            ("https://files.test:x/", "its address is none: Invalid port: 'x'"),
        ],
    )
    def test_a_redirect_goes_through_the_same_guard(self, settings, target, words):
        async def addresses(host, port):
            names = {"inside.test": ["10.0.0.1"], "127.0.0.1": ["127.0.0.1"]}
            return names.get(host, ["93.184.216.34"])

        network = Recorder(httpx.Response(302, headers={"Location": target}))
        downloader = Downloader(settings(), resolve=addresses, transport=lambda: network)

        assert str(refused(downloader, "https://files.test/a.png")) == words
        assert len(network.requests) == 1

    def test_a_name_that_becomes_private_between_redirects_is_refused(self, settings):
        network = Recorder(httpx.Response(302, headers={"Location": "/b.png"}))
        names = Names(files_test=[["93.184.216.34"], ["127.0.0.1"]])
        downloader = Downloader(settings(), resolve=names, transport=lambda: network)

        assert "private address" in str(refused(downloader, "https://files.test/a.png"))

    @pytest.mark.parametrize(
        "url", ["http://files.test/a", "ftp://files.test/a", "file:///etc/passwd", "/a", "", "https:///a"]
    )
    def test_only_https_is_fetched(self, settings, url):
        error = refused(Downloader(settings(), resolve=Names()), url)

        assert "only https addresses are fetched" in str(error)
        assert not error.retry

    @pytest.mark.parametrize(
        ("host", "fetched"),
        [
            ("files.test.io", True), ("FILES.test.io", True), ("files.test.io.", True), ("a.cdn.test.io", True),
            ("cdn.test.io", False), ("evilfiles.test.io", False), ("files.test.io.evil.example", False),
        ],
    )  # fmt: skip
    def test_only_allowed_hosts_are_asked(self, settings, host, fetched):
        async def addresses(host, port):
            return ["93.184.216.34"]

        network = Recorder(httpx.Response(200, content=PNG))
        allowed = settings(allowed_hosts=["files.test.io", "*.cdn.test.io"])
        downloader = Downloader(allowed, resolve=addresses, transport=lambda: network)

        if fetched:
            assert fetch(downloader, f"https://{host}/a.png").size == len(PNG)
        else:
            assert "[attachments] allowed_hosts" in str(refused(downloader, f"https://{host}/a.png"))

    def test_a_name_without_address_is_tried_again(self, settings):
        error = refused(Downloader(settings(), resolve=Names()), "https://files.test/a.png")

        assert (str(error), error.retry) == ("files.test has no address: no files.test", True)

    def test_a_name_that_cannot_be_one_is_not(self, settings):
        assert not refused(Downloader(settings()), f"https://{'a' * 70}.test/a.png").retry


class TestCertificates:
    """The connection goes to an address; the certificate must still be the name's."""

    @pytest.fixture
    def authority(self, tmp_path):
        x509 = pytest.importorskip("cryptography.x509")
        hashes = importlib.import_module("cryptography.hazmat.primitives.hashes")
        serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
        ec = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ec")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "files.test")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        names = x509.SubjectAlternativeName([x509.DNSName("files.test")])
        certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        pem = tmp_path / "certificate.pem"
        pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem

    @pytest.fixture
    def secure(self, servers, authority):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority)
        server = Files(context=context)
        server.put("/a.png")
        servers.callback(server.close)
        return server

    @pytest.mark.parametrize(("host", "words"), [("files.test", ""), ("other.test", "certificate verify failed")])
    def test_it_is_checked_for_the_name(self, settings, secure, authority, monkeypatch, host, words):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        names = Names(files_test=["127.0.0.1"], other_test=["127.0.0.1"])
        downloader = Downloader(settings(allow_private=True), resolve=names)
        url = f"https://{host}:{secure.port}/a.png"

        if words:
            assert words in str(refused(downloader, url))
        else:
            assert fetch(downloader, url).path.read_bytes() == PNG


class TestContent:
    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (PNG, "image/png"), (b"\xff\xd8\xff\xe0..JFIF", "image/jpeg"), (b"GIF89a", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"), (b"\0\0\0\x18ftypmp42", "video/mp4"),
            (b"\0\0\0\x14ftypqt  ", "video/quicktime"), (b"\0\0\0\x08wide\0\0", "video/quicktime"),
            (b"\0\0\0\x18ftypheic", "image/heic"), (b"\x1a\x45\xdf\xa3", "video/webm"),
            (b"%PDF-1.7", "application/pdf"), (b"PK\x03\x04", "application/zip"),
            (b"E/AndroidRuntime: FATAL\r\n", "text/plain"), (PAGE, "text/html"),
            (b"\xef\xbb\xbf<html>", "text/html"), ("Überlauf".encode("latin-1"), "text/plain"),
            ("log".encode("utf-16"), "text/plain"), (b"MZ\x90\0", ""), (b"\x01\x02\x03", ""),
        ],
    )  # fmt: skip
    def test_the_first_bytes_say_what_it_is(self, head, kind):
        assert sniff(head) == kind

    @pytest.mark.parametrize(
        ("declared", "head", "name", "kind"),
        [
            ("image/png", b"\xff\xd8\xff", "a.png", "image/jpeg"),  # a JPEG called PNG is still the picture
            ("image/jpg", b"\xff\xd8\xff", "a.jpg", "image/jpeg"),
            ("IMAGE/PNG; x=1", PNG, "a", "image/png"),
            ("image/svg+xml", b"<svg/>", "a.svg", "image/svg+xml"),
            ("", PNG, "a", "image/png"),
            (
                "",
                b"PK\x03\x04",
                "a.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            ("application/octet-stream", b'{"a": 1}', "a.json", "application/json"),
            ("", PNG, "a.json", "image/png"),
            ("", b"\x01\x02", "a", "application/octet-stream"),
            ("text/x-log", b"log", "a.log", "text/x-log"),
        ],
    )
    def test_the_type_is_what_the_bytes_say_else_what_was_declared(self, declared, head, name, kind):
        assert type_of(declared, head, name) == kind

    def test_a_page_that_was_meant_is_taken(self):
        refuse_wrong_content("text/html", PAGE, "text/html")
        refuse_wrong_content("text/plain", PAGE, "text/plain")
        with pytest.raises(AttachmentError):
            refuse_wrong_content("text/plain", PAGE, "text/html; charset=utf-8")

    @pytest.mark.parametrize(
        ("name", "kind", "safe"),
        [
            ("screen shot.png", "image/png", "screen shot.png"),
            ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
            ("C:\\temp\\a.log", "text/plain", "C__temp_a.log"),
            ("\u202egnp.exe", "image/png", "gnp.exe"),
            ("a\r\nb\0.png", "image/png", "ab.png"),
            (".htaccess", "text/plain", "htaccess.txt"),
            ("12345", "image/png", "12345.png"),
            ("...", "application/octet-stream", "attachment.bin"),
            ("Fehler ä 🙂.png", "image/png", "Fehler ä 🙂.png"),
        ],
    )
    def test_a_name_is_made_harmless(self, name, kind, safe):
        assert safe_name(name, kind) == safe

    def test_a_long_name_keeps_its_extension(self):
        name = safe_name("ä" * 300 + ".png", "image/png")

        assert name.endswith(".png")
        assert len(name.encode()) < 255
