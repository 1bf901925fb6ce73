"""The command line as its users meet it: a subprocess, its files, its exit code, its one line of error."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, TINY, Run

import vaezip
from vaezip.engine import REFERENCE, chosen


@pytest.fixture
def text(tmp_path: Path, prose: bytes) -> Path:
    path = tmp_path / "notes.txt"
    path.write_bytes(prose[:400])
    return path


def fails(result: subprocess.CompletedProcess[bytes], *words: str, code: int = 1) -> None:
    """Exit code, one line, no traceback, and the words that a user needs."""
    message = result.stderr.decode()
    assert result.returncode == code, message
    assert "Traceback" not in message
    assert "panicked" not in message
    lines = [line for line in message.splitlines() if line]
    assert len(lines) == 1, message
    assert lines[0].startswith("vaezip: ")
    for word in words:
        assert word in message


def test_compress_and_decompress(run: Run, text: Path, prose: bytes) -> None:
    text.chmod(0o640)
    os.utime(text, ns=(10**18, 10**18 + 7))
    assert run("compress", "notes.txt").returncode == 0
    compressed = text.with_name("notes.txt.vz")
    assert text.read_bytes() == prose[:400]
    assert compressed.stat().st_size < 300
    for path in (compressed,):
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.stat().st_mtime_ns == 10**18 + 7
    text.unlink()
    assert run("decompress", "notes.txt.vz").returncode == 0
    assert text.read_bytes() == prose[:400]
    assert text.stat().st_mode & 0o777 == 0o640
    assert text.stat().st_mtime_ns == 10**18 + 7
    assert sorted(p.name for p in text.parent.iterdir()) == ["notes.txt", "notes.txt.vz"]


def test_pipes(run: Run, prose: bytes) -> None:
    for arguments in ((), ("-",), ("-c", "-")):
        blob = run("compress", *arguments, input=prose[:300])
        assert blob.returncode == 0, blob.stderr
        back = run("decompress", *arguments, input=blob.stdout)
        assert (back.returncode, back.stdout) == (0, prose[:300])
    assert run("decompress", input=blob.stdout + blob.stdout).stdout == 2 * prose[:300]
    assert run("test", "-v", input=blob.stdout).stdout == b"-: ok\n"


def test_threads_blocks_and_engines_give_the_same_text(run: Run, text: Path, prose: bytes) -> None:
    blob = run("compress", "-c", "notes.txt", "--block-size", "150").stdout
    assert run("compress", "-c", "notes.txt", "--block-size", "150", "-T", 3).stdout == blob
    assert run("compress", "-c", "notes.txt").stdout != blob
    for threads in (0, 1, 3):
        assert run("decompress", "-T", threads, input=blob).stdout == prose[:400]
        assert run("test", "-T", threads, input=blob).returncode == 0
    reference, short = {"VAEZIP_ENGINE": REFERENCE}, prose[:120]
    blob = run("compress", "--block-size", "50", input=short).stdout
    assert run("compress", "--block-size", "50", input=short, env=reference).stdout == blob
    assert run("decompress", input=blob, env=reference).stdout == short
    for size in ("0", "17M", "much"):
        wrong = run("compress", "notes.txt", "--block-size", size)
        assert wrong.returncode == 1
        assert b"not a size from 1 to 16M" in wrong.stderr
    fails(run("compress", "notes.txt", env={"VAEZIP_ENGINE": "abacus"}), "no such engine here")


def test_standard_output_and_output_name(run: Run, text: Path, prose: bytes) -> None:
    blob = run("compress", "-c", "notes.txt").stdout
    assert run("compress", "notes.txt", "-o", "other").returncode == 0
    assert (text.parent / "other").read_bytes() == blob
    assert run("decompress", "other", "-o", "back").returncode == 0
    assert (text.parent / "back").read_bytes() == prose[:400]
    assert run("decompress", "other", "-o", "-").stdout == prose[:400]
    assert not text.with_name("notes.txt.vz").exists()


def test_several_files_and_one_of_them_bad(run: Run, text: Path) -> None:
    (text.parent / "b").write_bytes(b"bbb")
    (text.parent / "folder").mkdir()
    fails(run("compress", "missing", "notes.txt", "b"), "missing: No such file")
    assert text.with_name("notes.txt.vz").exists()
    assert text.with_name("b.vz").exists()
    fails(run("compress", "-f", "folder", "b"), "is a directory", code=2)
    fails(run("compress", "b.vz"), "already has the suffix", code=2)
    fails(run("decompress", "b"), "does not end in .vz", code=2)
    assert run("compress", "-q", "b.vz").stderr == b""


def test_rm_removes_only_what_is_safe(run: Run, text: Path) -> None:
    fails(run("compress", "--rm", "-k", "notes.txt"), "contradict")
    assert text.exists()
    assert run("compress", "--rm", "-f", "notes.txt").returncode == 0
    assert not text.exists()
    assert run("decompress", "--rm", "notes.txt.vz").returncode == 0
    assert text.exists()
    assert not text.with_name("notes.txt.vz").exists()
    assert run("compress", "--rm", "-c", "notes.txt").returncode == 1
    text.with_name("broken.vz").write_bytes(b"broken")
    fails(run("decompress", "--rm", "broken.vz"), "not a .vz file")
    assert text.with_name("broken.vz").exists()
    text.with_name("link").symlink_to(text)
    fails(run("compress", "--rm", "link"), "symbolic link", code=2)
    assert text.exists()
    assert text.with_name("link").is_symlink()


def test_nothing_is_overwritten_without_force(run: Run, text: Path) -> None:
    target = text.with_name("notes.txt.vz")
    target.write_bytes(b"precious")
    fails(run("compress", "notes.txt"), "already exists")
    assert target.read_bytes() == b"precious"
    assert run("compress", "-f", "notes.txt").returncode == 0
    assert run("decompress", "-f", "notes.txt.vz").returncode == 0


def test_an_input_is_never_its_own_output(run: Run, text: Path, prose: bytes) -> None:
    text.with_name("hard").hardlink_to(text)
    for target in ("notes.txt", "./notes.txt", "hard"):
        fails(run("compress", "-f", "notes.txt", "-o", target), "also an input")
    text.with_name("my.vzm").write_bytes(TINY.read_bytes())
    fails(run("compress", "-f", "notes.txt", "-o", "my.vzm", "-m", "my.vzm"), "also an input")
    assert text.with_name("my.vzm").read_bytes() == TINY.read_bytes()
    for name in ("x.vz", "x.vz.vz"):
        text.with_name(name).write_bytes(vaezip.compress(name.encode(), model=TINY))
    fails(run("decompress", "-f", "x.vz.vz", "x.vz"), "also an input (x.vz), refused")
    assert text.with_name("x").read_bytes() == b"x.vz"
    assert text.read_bytes() == prose[:400]


def test_what_is_passed_over_is_no_input_that_is_in_the_way(run: Run, text: Path) -> None:
    for _ in range(2):
        run("compress", "-f", *sorted(path.name for path in text.parent.iterdir()))
        assert sorted(path.name for path in text.parent.iterdir()) == ["notes.txt", "notes.txt.vz"]
    text.write_bytes(b"changed")
    fails(run("compress", "-f", "notes.txt", "notes.txt.vz"), "already has the suffix .vz, skipped", code=2)
    assert run("decompress", "-c", "notes.txt.vz").stdout == b"changed"
    fails(run("decompress", "-f", "notes.txt", "notes.txt.vz"), "does not end in .vz, skipped", code=2)
    fails(run("compress", "-f", "notes.txt.vz", "-o", "notes.txt.vz"), "also an input")


def test_a_folder_is_no_file_and_only_commands_that_can_take_it_say_how(run: Run, text: Path) -> None:
    (text.parent / "folder").mkdir()
    for command in ("compress", "decompress", "test", "list", "pack -o x.vzp", "dict -o x.vzd"):
        fails(run(*command.split(), "folder"), "is a directory, skipped (-r takes the files in it)", code=2)
    for command in ("bench", "show", "plot"):
        result = run(command, "folder")
        assert (result.returncode, result.stderr) == (2, b"vaezip: folder: is a directory, skipped\n")
    assert sorted(path.name for path in text.parent.iterdir()) == ["folder", "notes.txt"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("x", "give a name with -o"),
        ("x.vzp", "vaezip unpack reads a pack"),
        ("x.MSG", "-d --format message reads a message"),
        ("x.vzd", "-D takes a dictionary"),
        ("x.vzm", "-m takes a model"),
    ],
)
def test_who_decompresses_something_else_is_told_what_reads_it(
    name: str, hint: str, run: Run, text: Path
) -> None:
    text.rename(text.with_name(name))
    fails(run("decompress", name), f"{name}: does not end in .vz, skipped ({hint})", code=2)


def test_names_that_are_not_utf_8_are_json_nevertheless(run: Run, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xffnotes.vz")
    (tmp_path / name).write_bytes(vaezip.compress(b"text", model=TINY))
    for environment in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        (row,) = json.loads(run("list", "--json", name, env=environment).stdout)
        assert (row["name"], row["name_base64"]) == ("\ufffdnotes.vz", "/25vdGVzLnZ6")
    measured = run("bench", "--json", name)
    assert json.loads(measured.stdout)[0]["name_base64"] == "/25vdGVzLnZ6"
    assert b"holds no measurements" not in run("plot", input=measured.stdout).stderr


def test_damaged_inputs_leave_nothing_behind(run: Run, text: Path) -> None:
    blob = run("compress", "-c", "notes.txt").stdout
    bad = text.with_name("bad.vz")
    flipped = bytearray(blob)
    flipped[-9] ^= 4
    header = bytearray(blob)
    header[5] ^= 1
    for data, word in (
        (blob[:-1], "truncated"),
        (bytes(flipped), "the data are damaged"),
        (bytes(header), "its header is damaged"),
        (blob + bytes(header), "damaged header"),
        (b"", "empty"),
        (b"just some text", "not a .vz file"),
        ((ROOT / "tests/data/format-1-in-order.vzp").read_bytes(), "not a .vz file, but a pack"),
        ((ROOT / "tests/data/format-1.vzd").read_bytes(), "not a .vz file, but a dictionary"),
        ("öffentlich".encode("latin-1"), "not a .vz file"),
        (blob + b"x", "after the last frame"),
    ):
        bad.write_bytes(data)
        fails(run("decompress", "bad.vz"), "bad.vz: ", word)
        if "pack" not in word:  # which is tested, too
            fails(run("test", "bad.vz"), "bad.vz: ", word)
        assert sorted(p.name for p in text.parent.iterdir()) == ["bad.vz", "notes.txt"]
    (text.parent / "bad").write_bytes(b"precious")
    fails(run("decompress", "-f", "bad.vz"))
    assert (text.parent / "bad").read_bytes() == b"precious"


def test_models(run: Run, text: Path) -> None:
    fails(run("compress", "notes.txt", "-m", "nowhere.vzm"), "nowhere.vzm", "no such file")
    fails(run("compress", "notes.txt", "-m", "notes.txt"), "not a vaezip model")
    assert run("compress", "notes.txt", "-m", TINY).returncode == 0
    fails(run("decompress", "-c", "notes.txt.vz", "-m", "standard"), "another model")


def test_outputs_that_cannot_be_written(run: Run, text: Path) -> None:
    fails(run("compress", "notes.txt", "-o", "no/such/folder/x"), "no/such/folder/x", "cannot write")
    fails(run("compress", "notes.txt", "-o", "/proc/x"), "/proc/x", "cannot write")
    fails(run("compress", "notes.txt", "-o", text.parent), "is a directory")
    fails(run("compress", "notes.txt", "-f", "-o", "/dev/full"), "No space left")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A disk of 64 KB: an own mount namespace, so it needs no rights and is gone with the process."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = "mount -t tmpfs -o size=64k none disk"
    (tmp_path / "disk").mkdir()
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, "sh", "-c", mount], cwd=tmp_path).returncode
    ):
        pytest.skip("this system lets nobody mount a tmpfs")
    (tmp_path / "noise").write_bytes(os.urandom(100_000))
    steps = [
        mount,
        "echo precious > disk/old.vz",
        f"{sys.executable} -m vaezip compress noise -f -o disk/old.vz -m {TINY} -q",
        "echo $?",
        "ls -A disk",
        "cat disk/old.vz",
    ]
    script = " && ".join(steps[:2]) + " && { " + "; ".join(steps[2:]) + "; }"
    result = subprocess.run([*namespace, "sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert result.stdout == b"1\nold.vz\nprecious\n"
    assert result.stderr == b"vaezip: disk/old.vz: cannot write: No space left on device\n"


def test_a_limit_on_file_sizes_leaves_nothing_behind(run: Run, text: Path) -> None:
    (text.parent / "old.vz").write_bytes(b"precious")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))

    fails(run("compress", "-f", "notes.txt", "-o", "old.vz", preexec_fn=limit), "old.vz", "cannot write")
    assert (text.parent / "old.vz").read_bytes() == b"precious"
    assert sorted(p.name for p in text.parent.iterdir()) == ["notes.txt", "old.vz"]


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_behind(number: signal.Signals, threads: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(4_000_000).hex().encode())  # which takes long
    command = [sys.executable, "-m", "vaezip", "compress", "big", "-T", threads, "-m", str(TINY)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not any(p.suffix == ".tmp" for p in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (temporary := [p for p in tmp_path.iterdir() if p.suffix == ".tmp"])
    assert temporary[0].stat().st_mode & 0o777 == 0o600
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == -number  # of the signal itself, as a shell wants to know
    assert b"Traceback" not in message
    assert [p.name for p in tmp_path.iterdir()] == ["big"]


@pytest.mark.parametrize(
    "command",
    [
        "vaezip -dc big.vz",
        "vzcat -T 3 big.vz big.vz",
        "vaezip -d < big.vz",
        "vaezip -c big",
        "vaezip -l $(yes big.vz | head -n 3000)",
        "vaezip unpack x.vzp",
    ],
)
def test_a_reader_that_has_gone_ends_a_command_by_its_signal(command: str, sh: Run, tmp_path: Path) -> None:
    """As it ends others, and not as a damaged file does."""
    (tmp_path / "big").write_bytes(os.urandom(400_000))
    (tmp_path / "big.vz").write_bytes(vaezip.compress((tmp_path / "big").read_bytes(), model=TINY))
    if "unpack" in command:
        (tmp_path / "x.vzp").write_bytes(vaezip.pack_records([os.urandom(60_000)] * 3, model=TINY))
    result = sh(f"{command} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}")
    assert (result.returncode, result.stdout, result.stderr) == (141, b"", b"")


def test_a_named_pipe_that_nobody_reads_any_more(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "big.vz").write_bytes(vaezip.compress(os.urandom(400_000), model=TINY))
    result = sh("mkfifo pipe; head -c 1 pipe > /dev/null & exec vaezip -d -o pipe big.vz")
    assert (result.returncode, result.stderr) == (-signal.SIGPIPE, b"")
    assert not list(tmp_path.glob(".vaezip*"))


def test_list(run: Run, text: Path, tiny: vaezip.Model) -> None:
    run("compress", "notes.txt")
    table = run("list", "notes.txt.vz").stdout.decode().splitlines()
    assert table[0].split()[:4] == ["frames", "blocks", "compressed", "content"]
    assert table[1].split()[3] == "400"
    (row,) = json.loads(run("list", "--json", "notes.txt.vz").stdout)
    assert row["name"] == "notes.txt.vz"
    assert row["content"] == 400
    assert row["compressed"] == text.with_name("notes.txt.vz").stat().st_size
    (model,) = row["models"]
    assert tiny.fingerprint.hex().startswith(model["fingerprint"])
    assert model["name"] is None  # it is not at hand
    table = run("list", "notes.txt.vz", "notes.txt.vz").stdout.decode().splitlines()
    assert table[3].split()[3:] == ["800", table[1].split()[4], "%", "2", "files"]
    fails(run("list", "notes.txt"), "not a .vz file")


def test_verbose_and_quiet(run: Run, text: Path) -> None:
    message = run("compress", "-v", "notes.txt").stderr.decode()
    assert message.startswith("notes.txt: 400 -> ")
    assert "bits/byte" in message
    assert run("test", "-v", "notes.txt.vz").stdout == b"notes.txt.vz: ok\n"
    for arguments in ((), ("-q",)):
        checked = run("test", *arguments, "notes.txt.vz")
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_later_of_quiet_and_verbose_counts(run: Run, text: Path) -> None:
    (text.parent / "folder").mkdir()
    for flags, verbose in (("-v -q", False), ("-q -v", True), ("-qv", True), ("-vq", False)):
        said = run("compress", "-f", *flags.split(), "folder", "notes.txt").stderr.decode().splitlines()
        assert len(said) == 2 * verbose
        assert bool(run("test", *flags.split(), "notes.txt.vz").stdout) == verbose
    (text.parent / "x.vz").mkdir()
    assert run("list", "-q", "x.vz").stderr == b""


def test_usage_errors_are_errors(run: Run) -> None:
    for arguments in (("compres",), ("compress", "--quick"), ("compress", "a", "b", "-o", "c"), ()):
        result = run(*arguments)
        assert result.returncode == (1 if arguments else result.returncode)
        assert b"Traceback" not in result.stderr


def test_help_and_version_are_light() -> None:
    code = (
        "import sys; from vaezip.cli import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    modules = subprocess.check_output([sys.executable, "-c", code]).decode().split()
    assert "numpy" not in modules
    assert "torch" not in modules
    code = "import sys, vaezip; vaezip.compress(b'text', model=sys.argv[1]); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code, str(TINY)]) == b"False\n"
    version = subprocess.check_output([sys.executable, "-m", "vaezip", "--version"])
    assert version.decode().strip() == f"vaezip {vaezip.__version__} (engine: {chosen()})"
