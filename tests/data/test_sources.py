"""Sources against real archives, a real HTTP server, real pip, and hostile versions of each."""

import base64
import contextlib
import hashlib
import http.server
import io
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.data import beats, sources
from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.exceptions import InputError
from tests.data.test_beats import as_txt

SMALL = b"1\t0.5\t0.25\n2\t0.5\t-0.25\n"


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def small_zip(name: str = "Mine") -> bytes:
    return zipped({f"{name}_TRAIN.tsv": SMALL, f"{name}_TEST.tsv": SMALL})


def failure(source: str | Path, folder: Path, dataset: str = "Mine") -> str:
    """Why the only source failed; checks that it left nothing behind."""
    with pytest.raises(InputError, match=f"no source delivered {dataset}") as refused:
        sources.fetch(dataset, [str(source)], folder)
    assert not list(folder.rglob("*"))
    assert str(source).replace("{dataset}", dataset) in str(refused.value)
    return str(refused.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start an HTTP server that answers every request by the function given; returns a URL on it."""
    servers = []

    def start(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/{{dataset}}.zip"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sends(content: bytes, announced: int | str | None = None) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) if announced is None else announced))
        request.end_headers()
        request.wfile.write(content)

    return answer


def test_folder_zip_txt_and_web_give_the_published_bytes(
    raw: Path, train: Beats, test: Beats, tmp_path: Path, serve: Callable[..., str]
) -> None:
    text = zipped({"ECG5000/ECG5000_TRAIN.txt": as_txt(train), "ECG5000/ECG5000_TEST.txt": as_txt(test)})
    (tmp_path / "txt.zip").write_bytes(text)
    for number, source in enumerate([str(raw), str(tmp_path / "txt.zip"), serve(sends(text))]):
        folder = tmp_path / str(number)
        sources.fetch("ECG5000", [source], folder)
        written = [(folder / f"ECG5000_{part}.tsv").read_bytes() for part in sources.PARTS]
        assert tuple(hashlib.sha256(text).hexdigest() for text in written) == dataset_named("ECG5000").hashes


def test_an_unpublished_dataset_is_fetched_by_its_name(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(small_zip())
    sources.fetch("Mine", [str(tmp_path / "mine.zip")], folder)
    assert (folder / "Mine_TRAIN.tsv").read_bytes() == SMALL
    assert sorted(path.name for path in folder.iterdir()) == ["Mine_TEST.tsv", "Mine_TRAIN.tsv"]


def test_the_next_source_is_tried_and_every_failure_is_listed(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(small_zip())
    absent = tmp_path / "absent"
    assert sources.fetch("Mine", [str(absent), str(tmp_path / "mine.zip")], folder) == str(tmp_path / "mine.zip")
    with pytest.raises(InputError) as refused:
        sources.fetch("Other", [str(absent), str(tmp_path / "mine.zip")], folder)
    assert f"there is no folder or file {absent}" in str(refused.value)
    assert "neither Other_TRAIN.tsv nor Other_TRAIN.txt" in str(refused.value)
    assert "fetch.sources" in str(refused.value)


ALL_NORMAL = b"1\t0.5\t0.5\n1\t0.1\t0.5\n"


@pytest.mark.parametrize(
    "source",
    ["~nobody_of_this_name/x", f"https://{'a' * 70}.example/x.zip", "nul\0byte", "x" * 5000, "https://", "http://[::1"],
)
def test_after_a_source_that_cannot_be_named_the_next_is_tried(tmp_path: Path, folder: Path, source: str) -> None:
    (tmp_path / "mine.zip").write_bytes(small_zip())
    assert sources.fetch("Mine", [source, str(tmp_path / "mine.zip")], folder) == str(tmp_path / "mine.zip")
    with pytest.raises(InputError, match="no source delivered Mine") as refused:
        sources.fetch("Mine", [source], folder)
    assert str(refused.value).replace("\n", "").isprintable()


def test_a_path_with_a_null_byte_is_refused() -> None:
    with pytest.raises(InputError, match=r"params\.yaml: 'a\\x00' is not the path of a folder or file"):
        sources.resolve("a\0", "data/own")


def test_an_archive_that_would_take_all_memory_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sources, "_from_folder", no_memory)
    with pytest.raises(InputError, match=r"it cannot be read \(MemoryError"):
        sources.fetch("Mine", [str(tmp_path)], folder)


def test_a_test_part_of_one_class_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(zipped({"Mine_TRAIN.tsv": SMALL, "Mine_TEST.tsv": ALL_NORMAL}))
    message = failure(tmp_path / "mine.zip", folder)
    assert "Mine_TEST.tsv: all 2 beats are of class 1; a test needs normal and other beats" in message


def test_a_training_part_of_one_class_is_accepted(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(zipped({"Mine_TRAIN.tsv": ALL_NORMAL, "Mine_TEST.tsv": SMALL}))
    sources.fetch("Mine", [str(tmp_path / "mine.zip")], folder)
    assert (folder / "Mine_TRAIN.tsv").read_bytes() == ALL_NORMAL


def test_other_beats_under_a_published_name_are_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "false.zip").write_bytes(small_zip("ECG5000"))
    assert "ECG5000_TRAIN is not the published file: SHA-256" in failure(tmp_path / "false.zip", folder, "ECG5000")


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("Mine_TEST.tsv", b"1 0.5\n2 0.5 0.5\n", "Mine_TEST.tsv, row 2"),
        ("Mine_TEST.tsv", b"1 0.5 0.5 0.5\n2 0.5 0.5 0.5\n", "TRAIN have 2 samples, those of TEST 3"),
        ("Mine_TRAIN.tsv", b"", "Mine_TRAIN.tsv is empty"),
        ("Mine_TRAIN.tsv", b"1 0.5 NaN\n2 0.5 0.5\n", "Mine_TRAIN.tsv, row 1, column 3"),
        ("../../etc/cron.d/evil", b"x", "leads out of it"),
        ("/etc/passwd", b"x", "leads out of it"),
        ("..\\evil", b"x", "leads out of it"),
        ("C:\\evil", b"x", "leads out of it"),
        ("Mine_TEST.tsv", b"0" * 2**24, "would unpack from"),
    ],
)
def test_the_message_says_what_is_wrong_with_an_archive(
    tmp_path: Path, folder: Path, member: str, content: bytes, message: str
) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(zipped({"Mine_TRAIN.tsv": SMALL, "Mine_TEST.tsv": SMALL} | {member: content}))
    assert message in failure(path, folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.zip", "raw"]


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_another_compression_than_deflate_is_refused(tmp_path: Path, folder: Path, method: int) -> None:
    (tmp_path / "mine.zip").write_bytes(zipped({"Mine_TRAIN.tsv": SMALL, "Mine_TEST.tsv": SMALL}, method))
    assert "compresses Mine_TRAIN.tsv by another method than deflate" in failure(tmp_path / "mine.zip", folder)


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path: Path, folder: Path) -> None:
    bomb = bytearray(zipped({"Mine_TRAIN.tsv": SMALL, "Mine_TEST.tsv": SMALL + b"0" * 2**24}))
    true = (len(SMALL) + 2**24).to_bytes(4, "little")
    assert bomb.count(true) == 2
    (tmp_path / "bomb.zip").write_bytes(bytes(bomb).replace(true, (100).to_bytes(4, "little")))
    assert "not a complete zip archive" in failure(tmp_path / "bomb.zip", folder)


@pytest.mark.parametrize("cut", [0, 10, 60, -1, -30])
def test_a_truncated_archive_is_refused(tmp_path: Path, folder: Path, cut: int) -> None:
    (tmp_path / "half.zip").write_bytes(small_zip()[:cut])
    assert "not a complete zip archive" in failure(tmp_path / "half.zip", folder)


def test_a_flipped_bit_in_an_archive_is_refused(tmp_path: Path, folder: Path) -> None:
    content = bytearray(zipped({"Mine_TRAIN.tsv": SMALL, "Mine_TEST.tsv": SMALL}, zipfile.ZIP_STORED))
    content[content.index(b"0.25")] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    assert "not a complete zip archive" in failure(tmp_path / "bad.zip", folder)


def test_a_download_that_breaks_off_is_refused(serve: Callable[..., str], folder: Path) -> None:
    url = serve(sends(small_zip()[:100], announced=len(small_zip())))
    assert "the download failed: ('Connection broken" in failure(url, folder)


def test_a_content_length_that_is_not_a_number_is_ignored(serve: Callable[..., str], folder: Path) -> None:
    content = small_zip()
    url = serve(sends(content, announced=f"{len(content)}, {len(content)}"))
    sources.fetch("Mine", [url], folder)
    assert (folder / "Mine_TEST.tsv").read_bytes() == SMALL


def test_a_page_in_place_of_an_archive_is_refused(serve: Callable[..., str], folder: Path) -> None:
    url = serve(sends(b"<html>Please log in to the network</html>"))
    assert "not a complete zip archive" in failure(url, folder)


@pytest.mark.parametrize("announced", [True, False])
def test_a_download_above_the_limit_is_stopped_while_it_streams(
    serve: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    sent: list[int] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if announced:
            request.send_header("Content-Length", str(2**30))
        request.end_headers()
        with contextlib.suppress(ConnectionError):
            sent.extend(request.wfile.write(bytes(2**20)) for _ in range(2**10))

    monkeypatch.setattr(sources, "MAX_DOWNLOAD", 2**20)
    assert "larger than 1 MiB" in failure(serve(answer), folder)
    assert sum(sent) < 2**28  # what the sockets buffer, not the whole


def test_a_download_leaves_no_file_behind(
    serve: Callable[..., str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)
    sources.fetch("Mine", [serve(sends(small_zip()))], folder)
    failure(serve(sends(b"<html>")), tmp_path / "other")
    assert not [path for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR") for path in (tmp_path / name).rglob("*")]


def test_the_message_contains_the_status_of_the_server(serve: Callable[..., str], folder: Path) -> None:
    url = serve(lambda request: request.send_error(404))
    assert "the download failed: 404 Client Error: Not Found" in failure(url, folder)


def test_a_server_that_sends_nothing_times_out(
    serve: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_TIMEOUT", 0.2)
    url = serve(lambda _: time.sleep(2))
    assert "the download failed: Read timed out. (read timeout=0.2)" in failure(url, folder)


def test_a_host_that_does_not_accept_connections_times_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CONNECT_TIMEOUT", 0.2)
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # more than the queue of pending connections takes
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        message = failure(f"http://127.0.0.1:{server.getsockname()[1]}/Mine.zip", folder)
    assert "the download failed: Connection to 127.0.0.1 timed out. (connect timeout=0.2)" in message


def test_a_closed_port_and_an_unknown_host_are_refused(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "Connection refused" in failure(f"http://127.0.0.1:{port}/Mine.zip", folder)
    assert "nowhere.invalid" in failure("https://nowhere.invalid/Mine.zip", folder)


@pytest.mark.parametrize("url", ["http://", "http://[broken/Mine.zip", "https://host:port/Mine.zip"])
def test_an_invalid_address_is_refused(url: str, folder: Path) -> None:
    assert url in failure(url, folder)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set pip up to see one wheel with beats in a folder, and nothing else; returns the wheel's SHA-256."""
    info = "mine-1.0.dist-info"
    members = {
        "mine/Mine_TRAIN.tsv": SMALL,
        "mine/Mine_TEST.tsv": SMALL,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for name, text in members.items()
    )
    wheel = zipped(members | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()})
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "mine-1.0-py3-none-any.whl").write_bytes(wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return hashlib.sha256(wheel).hexdigest()


def test_a_pinned_wheel_is_downloaded_by_the_users_own_pip(index: str, folder: Path) -> None:
    sources.fetch("Mine", [f"pip:mine==1.0#sha256={index}"], folder)
    assert (folder / "Mine_TEST.tsv").read_bytes() == SMALL


def test_a_wheel_of_another_hash_is_refused(index: str, folder: Path) -> None:
    del index
    assert "pip failed" in failure(f"pip:mine==1.0#sha256={'0' * 64}", folder)


def test_a_wheel_that_the_index_lacks_is_refused(index: str, folder: Path) -> None:
    assert "No matching distribution" in failure(f"pip:theirs==1.0#sha256={index}", folder)


@pytest.mark.parametrize(
    "name", ["pip:mine", "pip:mine==1.0", "pip:mine==1.0#sha256=12", "pip:-r/etc/passwd#sha256=" + "0" * 64]
)
def test_a_wheel_without_version_or_hash_is_refused(name: str, folder: Path) -> None:
    assert "pip:NAME==VERSION#sha256=HASH" in failure(name, folder)


def test_canonical_text_is_what_is_written(tmp_path: Path, folder: Path) -> None:
    fixed_width = as_txt(beats.parse(SMALL, "beats"))
    (tmp_path / "Mine").mkdir()
    for part in sources.PARTS:
        (tmp_path / "Mine" / f"Mine_{part}.txt").write_bytes(fixed_width)
    sources.fetch("Mine", [str(tmp_path)], folder)
    assert (folder / "Mine_TRAIN.tsv").read_bytes() == SMALL


@settings(max_examples=600)
@given(st.data())
def test_a_damaged_archive_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    content = bytearray(zipped({"Mine_TRAIN.tsv": SMALL * 20, "Mine_TEST.tsv": SMALL * 20}, method))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "mine.zip").write_bytes(content)
    try:
        sources.fetch("Mine", [str(folder / "mine.zip")], folder / "raw")
    except InputError as error:
        refused = str(error)
        assert not (folder / "raw").exists()
    else:
        refused = ""
        assert (folder / "raw" / "Mine_TEST.tsv").read_bytes() == SMALL * 20
    assert "it cannot be read" not in refused  # as what nobody expected is
