"""Whatever is typed, and whatever the standard streams are: one line per problem, and an exit status of its own."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY, Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shell import ends

import vaezip

FILES = "a b.vz damaged.vz folder folder/ locked link dangling missing - ./- . ./. /dev/null /dev/zero/x ''"
OPTIONS = (
    "-- -c -f -k -q -v --rm --json -T 0 -o x --block-size 1K --max-output 10 -m standard -h --version --minutes nan "
    "-r -0 --null --filelist names --filelist=folder --filelist - --output-dir out --output-dir=a --output-dir= "
    "-S .x -S. -S/ --suffix= --suffix=a/b --suffix .. -S a --best --decompress --list --test"
)
ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=20)
ARGUMENTS = st.one_of(
    st.sampled_from([*shlex.split(FILES), *OPTIONS.split(), "../tiny.vzm"]),
    ANYTHING.map(lambda text: text.lstrip("/")),
    st.binary(max_size=20).map(lambda data: os.fsdecode(data.replace(b"\0", b"").lstrip(b"/"))),
    st.text("zdtlcfkqvrn0159S", min_size=1, max_size=6).map(lambda letters: f"-{letters}"),
    st.integers(200, 5000).map(lambda n: "n" * n),
    st.integers(-(2**70), 2**70).map(str),
)
COMMANDS = st.sampled_from(
    [
        "compress",
        "decompress",
        "test",
        "list",
        "bench",
        "train",
        "plot",
        "",
        "-d",
        "-r",
        "-dr",
        "-c",
        "-t",
        "-l",
        "compres",
    ]
)
STREAMS = st.sampled_from(["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("test") / "workplace"
    folder.mkdir()
    (folder.parent / "tiny.vzm").write_bytes(TINY.read_bytes())
    (folder / "a").write_bytes(b"a text of some length")
    (folder / "b.vz").write_bytes(vaezip.compress(b"another text", model=TINY))
    (folder / "damaged.vz").write_bytes(b"\xfa" * 30)
    (folder / "folder").mkdir()
    (folder / "locked").mkdir(mode=0)
    (folder / "link").symlink_to("a")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "dash").write_bytes(b"")
    (folder / "names").write_bytes(b"a\nfolder\n\xff\n-\nmissing\0b.vz")
    return folder


def encodable(arguments: list[str]) -> list[bytes]:
    with contextlib.suppress(UnicodeEncodeError):
        return [os.fsencode(argument) for argument in arguments]
    return [argument.encode("utf-8", "surrogatepass") for argument in arguments]


@settings(
    max_examples=int(os.environ.get("VAEZIP_TEST_EXAMPLES", "30")), suppress_health_check=list(HealthCheck)
)
@given(command=COMMANDS, arguments=st.lists(ARGUMENTS, max_size=5), streams=STREAMS)
def test_nothing_that_is_typed_ends_in_a_traceback(
    command: str, arguments: list[str], streams: str, workplace: Path, programs: dict[str, str]
) -> None:
    program = ["vaezip", *([command] if command else [])]
    result = subprocess.run(
        ["bash", "-c", f'"$@" {streams}', "bash", *program, *encodable(arguments)],
        cwd=workplace,
        env={**programs, "VAEZIP_MODEL": "../tiny.vzm"},
        input=b"",
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert result.returncode in (0, 1, 2, 130), result
    for word in (b"Traceback", b"Exception ignored", b"panicked", b"Error in sys.excepthook"):
        assert word not in result.stderr
    if result.returncode == 1 and "2>" not in streams:
        assert result.stderr
    for line in result.stderr.splitlines():
        assert line.startswith(b"vaezip: ") or line.endswith((b" done", b"to validate", b" bits/byte)"))
        assert line.isascii() or line.decode().isprintable()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("compress a <&- >/dev/null", []),
        ("compress <&-", ["standard input: cannot read"]),
        ("decompress <&-", ["standard input: cannot read"]),
        ("compress -c a >&-", ["standard output: cannot write"]),
        ("compress -c a >/dev/full", ["standard output: cannot write: No space left"]),
        ("list b.vz >/dev/full", ["standard output: cannot write: No space left"]),
        ("list b.vz >&-", ["standard output: cannot write"]),
        (f"test -v -m {TINY} b.vz >/dev/full", ["standard output: cannot write: No space left"]),
        ("--version >/dev/full", ["standard output: cannot write: No space left"]),
        ("--help >&-", ["standard output: cannot write"]),
        ("compress missing 2>&-", []),
    ],
)
def test_standard_streams_that_are_closed_or_full(command: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b.vz").write_bytes(vaezip.compress(b"text", model=TINY))
    result = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m vaezip {command}"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=False,
    )
    lines = result.stderr.decode().splitlines()
    assert len(lines) == len(words), lines
    for line, word in zip(lines, words, strict=True):
        assert line.startswith("vaezip: ")
        assert word in line
    assert result.returncode == (1 if words or "missing" in command else 0)


def test_no_output_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Else what is meant for standard error would land in the file that got its descriptor."""
    (tmp_path / "a").write_bytes(b"text")
    command = f"{shlex.quote(sys.executable)} -m vaezip compress -v a missing -m {TINY} <&- >&- 2>&-"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, timeout=600, check=False)
    assert result.returncode == 1
    assert vaezip.decompress((tmp_path / "a.vz").read_bytes(), model=TINY) == b"text"


HARD_NAMES = [
    b"new\nline",
    b"\x1b[31mred",
    b"\xff\xfe latin",
    "ünïcödé 日本".encode(),
    ("🦊" * 60).encode(),
    b"n" * 252,
    b"-m=x",
    b" ",
    "right\u202eleft".encode(),
]


def test_names_of_every_kind(run: Run, tmp_path: Path) -> None:
    for name in HARD_NAMES:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"text")
    names = [os.fsdecode(name) for name in HARD_NAMES]
    for environment in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        result = run("compress", "-v", "--rm", "--", *names, env=environment)
        assert result.returncode == 0, result.stderr
        assert result.stderr.count(b"\n") == len(names)
        assert b"\x1b" not in result.stderr
        compressed = [name + ".vz" for name in names]
        listed = run("list", "--", *compressed, env=environment)
        assert (listed.returncode, listed.stdout.count(b"\n")) == (0, len(names) + 2)  # a head, and totals
        assert run("test", "--", *compressed, env=environment).returncode == 0
        assert run("decompress", "--rm", "--", *compressed, env=environment).returncode == 0
    assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted(HARD_NAMES)


def test_one_bad_file_never_stops_the_others(run: Run, tmp_path: Path) -> None:
    bad = [
        "folder",
        "missing",
        ".",
        "n" * 253,
        "n" * 300,
        "",
        "x/y",
        "a/",
        "loop",
        "c.vz",
        os.fsdecode(b"\xff"),
    ]
    (tmp_path / "folder").mkdir()
    (tmp_path / ("n" * 253)).write_bytes(b"its output's name would be too long")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "c.vz").write_bytes(b"has the suffix already")
    for name in "ab":
        (tmp_path / name).write_bytes(b"text")
    result = run("compress", "a", *bad, "b")
    assert result.returncode == 1
    lines = result.stderr.decode().splitlines()
    assert len(lines) == len(bad), lines
    assert all(line.startswith("vaezip: ") for line in lines)
    for name in "ab":
        assert vaezip.decompress((tmp_path / f"{name}.vz").read_bytes(), model=TINY) == b"text"


def test_arguments_mean_what_they_say(run: Run, tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(b"a file of that name")
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "folder").mkdir()
    assert run("compress", "./-").returncode == 0
    assert vaezip.decompress((tmp_path / "-.vz").read_bytes(), model=TINY) == b"a file of that name"
    for output in ("new/", "folder/", "folder", "", "missing/x"):
        result = run("compress", "a", "-o", output)
        assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    for arguments in (("-m", ""), ("--block-size", "nan"), ("-T", "-1"), ("-T", "1e3"), ("-o", "x", "-c")):
        assert run("compress", "a", *arguments).returncode == 1
    assert sorted(os.listdir(tmp_path)) == ["-", "-.vz", "a", "folder"]


NUMBERS = (
    "compress a -T",
    "compress a --block-size",
    "decompress a.vz --max-output",
    "compress --format message a --check",
    "get a.vzp",
    "pack a -o x --group",
    "sample --seed",
    "sample --length",
    "sample --preset",
    "sample --z 0,0,0,0,0,0,0,",
    "sample --temperature",
    "sample --top-p",
    "train a -o x --epochs",
    "train a -o x --width",
    "train a -o x --weight a=",
)


@pytest.mark.parametrize("line", NUMBERS)
def test_numbers_are_written_in_plain_digits(line: str, sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text\n" * 12)
    (tmp_path / "a.vzp").write_bytes(vaezip.pack_records([b"text"] * 12, model=TINY))
    between = "" if line.endswith((",", "=")) else " "
    for number in ("1_0", "+1", "\uff11", "\u0661", "' 1'", "1,", "0x1"):
        result = sh(f"vaezip {line}{between}{number}")
        assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (1, b"", 1), number
        assert result.stderr.startswith(b"vaezip: ")
    assert sorted(os.listdir(tmp_path)) == ["a", "a.vzp"]


def test_numbers_that_are_plain_are_taken(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text\n" * 12)
    ends(sh("vaezip a -T 02 --block-size 1k -c | vaezip -d -T1 --max-output 0060"), 0, b"text\n" * 12)
    ends(sh("vaezip pack -q a -o a.vzp --group 010 && vaezip get a.vzp 011 -- -12"), 0, b"text\n" * 2)
    for options in ("--temperature .5 --top-p 5e-1", "--temperature 1. --top-p 1E+0 --z 1,-2,0,0,0,0,0,00"):
        assert sh(f"vaezip sample --length 3 --seed 007 {options}").returncode == 0


def test_a_number_below_zero_is_a_record_and_no_option(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "-1").write_bytes(b"a file")
    (tmp_path / "0").write_bytes(b"named 0")
    ends(sh("vaezip pack -q a -o a.vzp && vaezip get a.vzp -1 0 -3"), 0, b"three\none\none\n")
    ends(sh("vaezip get -2 a.vzp"), 1, b"", "-2: No such file")
    ends(sh(f"vaezip get a.vzp -m '{TINY}' -2 && vaezip get a.vzp 1 -- -1"), 0, b"two\ntwo\nthree\n")
    for option in ("--modle", "-x", "-1x", "--"):
        assert sh(f"vaezip get a.vzp {option}").returncode == 1
    ends(sh("vaezip get a.vzp --modle 1"), 1, b"", "--modle")
    ends(sh("vaezip pack -q --records files ./-1 a 0 -o b.vzp && vaezip get b.vzp -1 0"), 0, b"a filenamed 0")


def test_a_limit_on_the_output(run: Run, tmp_path: Path) -> None:
    (tmp_path / "zeros.vz").write_bytes(vaezip.compress(bytes(100_000), model=TINY))
    (tmp_path / "small.vz").write_bytes(vaezip.compress(b"text", model=TINY))
    for command in ("decompress", "test"):
        result = run(command, "--max-output", "1K", "zeros.vz", "small.vz")
        assert result.returncode == 1
        assert result.stderr == b"vaezip: zeros.vz: the output would be larger than 1024 bytes\n"
    assert (tmp_path / "small").read_bytes() == b"text"
    assert not (tmp_path / "zeros").exists()
    assert run("decompress", "--max-output", "100000", "zeros.vz").returncode == 0


ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGXCPU]


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_ending_signals_leave_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(2000) * 2000)
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", "compress", "--rm", "big", "-m", str(TINY)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    while not list(tmp_path.glob("*.tmp")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    _, message = process.communicate(timeout=600)
    assert (process.returncode, message) == (-number, b"")
    assert os.listdir(tmp_path) == ["big"]


def test_a_signal_that_was_ignored_is_ignored(tmp_path: Path) -> None:
    """As nohup wants it, and a shell for its background jobs."""
    (tmp_path / "big").write_bytes(b"some text, " * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", "compress", "big", "-m", str(TINY)],
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    while not list(tmp_path.glob("*.tmp")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=600) == 0
    assert vaezip.decompress((tmp_path / "big.vz").read_bytes(), model=TINY) == b"some text, " * 20_000


def test_an_interruption_at_the_very_start_says_nothing(tmp_path: Path) -> None:
    """While modules are imported, which takes most of the time of a short call."""
    (tmp_path / "a").write_bytes(b"text")
    outcomes = set()
    for delay in range(0, 300, 15):
        process = subprocess.Popen(
            [sys.executable, "-m", "vaezip", "compress", "-f", "a", "-m", str(TINY)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        # Before our first line runs, the interpreter itself deals with signals.
        deadline = time.monotonic() + 600
        while not _heeds(process.pid) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay / 1000)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=600)
        assert message == b""
        outcomes.add(process.returncode)
    assert outcomes <= {0, -signal.SIGINT}
    assert -signal.SIGINT in outcomes


def _heeds(pid: int) -> bool:
    """Whether a process has a handler of its own for SIGHUP, as it gets with that for SIGINT."""
    with contextlib.suppress(OSError):
        caught = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line
        )
        return bool(int(caught.split()[1], 16) >> (signal.SIGUSR2 - 1) & 1)
    return True
