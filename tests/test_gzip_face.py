"""What gzip's own tests ask of gzip, asked of vaezip: whoever knows the one knows the other."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest
from conftest import TINY, Run
from shell import ends, on_terminal

import vaezip


@pytest.fixture
def text(tmp_path: Path, prose: bytes) -> Path:
    path = tmp_path / "in"
    path.write_bytes(prose[:300])
    return path


def test_a_file_becomes_another_with_the_suffix_and_back(sh: Run, text: Path, prose: bytes) -> None:
    ends(sh("vaezip in && mv in.vz other.vz && vaezip -d other.vz && cmp in other"), 0)
    assert sorted(os.listdir(text.parent)) == ["in", "other", "other.vz"]
    assert vaezip.decompress((text.parent / "other.vz").read_bytes(), model=TINY) == prose[:300]


def test_inputs_are_kept_but_with_rm(sh: Run, text: Path) -> None:
    for line in ("vaezip in", "vaezip -fk in", "vaezip -df in.vz", "vaezip -dfk in.vz", "vaezip -t in.vz"):
        ends(sh(line), 0)
        assert sorted(os.listdir(text.parent)) == ["in", "in.vz"]
    ends(sh("vaezip -f --rm in && test ! -e in && vaezip -d --rm in.vz && test ! -e in.vz"), 0)
    for line in ("vaezip -k --rm in", "vaezip -c --rm in", "vzcat --rm in", "vaezip -t --rm in"):
        assert sh(line).returncode == 1
        assert os.listdir(text.parent) == ["in"]


def test_help_and_version_go_to_standard_output(sh: Run) -> None:
    for flag in ("-h", "--help"):
        shown = sh(f"vaezip {flag}")
        assert (shown.returncode, shown.stderr) == (0, b"")
        for word in (b"--decompress", b"--filelist", b"Commands:", b"train"):
            assert word in shown.stdout
    for flag in ("-V", "--version", "-dV"):
        assert sh(f"vaezip {flag}").stdout.startswith(f"vaezip {vaezip.__version__} ".encode())
    ends(sh("vaezip --help >/dev/full"), 1, b"", "standard output: cannot write")


def test_a_level_chooses_the_model(sh: Run, text: Path) -> None:
    standard, large = (sh(f"vaezip -c -m {model} in").stdout for model in ("standard", "large"))
    assert large != standard
    for levels in ("-1 -2 -3", "-4 -5 -6", "-91", "--fast", "-9 -m standard"):
        ends(sh(f"VAEZIP_MODEL= vaezip {levels} -c in"), 0, standard)
    for levels in ("-7 -8", "-9", "-19", "--best", "-9n", "-1 -m large"):
        ends(sh(f"vaezip {levels} -c in"), 0, large)
    tiny = sh(f"vaezip -c -m {TINY} in").stdout
    for levels, blob in (("", tiny), ("-6", standard), ("-7", large), (f"-7 -m {TINY}", tiny)):
        ends(sh(f"VAEZIP_MODEL={TINY} vaezip compress {levels} -c in"), 0, blob)
    for levels, blob in (("-1", standard), ("--best", large), (f"-m {TINY}", tiny)):
        ends(sh(f"VAEZIP_MODEL=missing.vzm vaezip {levels} -c in"), 0, blob)
    for blob in (standard, large):
        ends(sh("vaezip -d9 | cmp - in", input=blob), 0)


def test_a_level_chooses_the_model_of_a_message_on_both_sides(sh: Run, text: Path) -> None:
    for level, other in (
        ("-7", "-6"),
        ("-1", "--best"),
        ("-9 -m standard", "-7 -m standard"),
        ("-2", "-m standard"),
    ):
        assert sh(
            f"vaezip {level} --format message -f in && vaezip -d {level} --format message -c in.msg"
        ).stdout == (text.read_bytes())
        back = sh(f"vzcat {other} --format message in.msg").stdout
        assert (back == text.read_bytes()) == ("standard" in other)
    ends(sh("vaezip decompress --format message -2 -c in.msg"), 0, text.read_bytes())
    tiny = sh("vaezip --format message -c in").stdout
    ends(sh("vaezip -d --format message -c", input=tiny), 0, text.read_bytes())


def test_a_level_chooses_the_block_size(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(random.Random(0).randbytes(1200 << 10))  # stored, which is quick
    for levels, blocks in (("-6", 3), ("-7", 3), ("-8", 2), ("-9", 1), ("-9 --block-size 600K", 2)):
        assert json.loads(sh(f"vaezip {levels} -c noise | vaezip -l --json").stdout)[0]["blocks"] == blocks


def test_options_may_be_bundled_and_stand_behind_files(sh: Run, text: Path, prose: bytes) -> None:
    blob = sh("vaezip -nc in").stdout
    ends(sh("vaezip in -c"), 0, blob)
    ends(sh("vaezip in -cnkT2"), 0, blob)
    ends(sh("vaezip in -c6nT2"), 0, sh("vaezip -6 in -o -").stdout)
    ends(sh("vaezip -dcT2", input=blob), 0, prose[:300])
    ends(sh("cat > in.vz && echo old > in && vaezip in.vz -dkf && cat in", input=blob), 0, prose[:300])
    ends(sh("cp in.vz -- -c && vaezip -d -S '' -- -c"), 1, b"", "is not the end of a file's name")
    ends(sh("mv -- -c -c.vz && vaezip -dc -- -c.vz"), 0, prose[:300])


def test_long_names_are_those_of_gzip_and_zstd(sh: Run, text: Path, prose: bytes) -> None:
    blob = sh("vaezip --compress --stdout --keep --best --no-name in").stdout
    for options in (
        "--decompress --to-stdout",
        "--uncompress --stdout --threads=2",
        "--decompress --force -c",
    ):
        ends(sh(f"vaezip {options}", input=blob), 0, prose[:300])
    ends(sh("vaezip --test --quiet --silent --verbose", input=blob), 0, b"-: ok\n")
    ends(sh("vaezip --list --recursive ."), 0)


def test_the_last_of_several_modes_counts(sh: Run, text: Path, prose: bytes) -> None:
    blob = sh("vaezip -dtlz -c in").stdout
    assert vaezip.decompress(blob, model=TINY) == prose[:300]
    for options, out in (("-z -tc -d", prose[:300]), ("-l -d -v --test", b"-: ok\n"), ("--list -zt", b"")):
        ends(sh(f"vaezip {options}", input=blob), 0, out)
    assert b" 300 " in sh("cat > in.vz; vaezip -t -d -l in.vz", input=blob).stdout


ACCEPTED = (  # as it would change nothing, or nobody expects it to
    *("-l -9", "-l -c", "-l -f", "-l -k", "-l -T2", "-l -n", "-l --block-size 1K", "-l -m standard", "-l -v"),
    *("-t -9", "-t -c", "-t -f", "-t -k", "-t -n", "-t --block-size 1K"),
    *("-d -9c", "-d -cn", "-dc --block-size 1K", "-dc -k", "-d -c -r", "-dkc -f"),
)
REFUSED = (  # as somebody would miss what it asks for
    *("-t --rm", "-t -o x", "-t --output-dir x", "-t --json", "-t --format message", "-t --check 1"),
    *("-t --armour base45", "-t -0", "-l --rm", "-l -o x", "-l --output-dir x", "-l --max-output 1M"),
    *("-l --format message", "-l --check 1", "-l --armour base45", "-l -0"),
    *("-d --json", "-d --check 1", "-d --armour base45", "-d -k --rm", "-d -c --rm", "-d -c -o x", "-d -0"),
    *("-z --json", "--json", "--check 1", "--armour base45", "--max-output 1M", "-k --rm", "-c --rm", "-0"),
    *("-c -o x", "-c --output-dir x", "-o x --output-dir x"),
)


def test_options_that_change_nothing_are_accepted(sh: Run, text: Path) -> None:
    ends(sh("vaezip in"), 0)
    for options in ACCEPTED:
        result = sh(f"vaezip {options} in.vz")
        assert (result.returncode, result.stderr) == (0, b""), options
    assert sorted(os.listdir(text.parent)) == ["in", "in.vz"]


def test_options_that_would_be_missed_are_refused(sh: Run, text: Path) -> None:
    ends(sh("vaezip in"), 0)
    for options in REFUSED:
        result = sh(f"vaezip {options} {'in.vz' if options[0:2] in ('-t', '-l', '-d') else 'in'}")
        assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (1, b"", 1), options
    assert sorted(os.listdir(text.parent)) == ["in", "in.vz"]


def test_a_bound_of_the_output_is_about_decompressing(sh: Run, text: Path) -> None:
    before = sorted(text.parent.iterdir())
    for mode in ("", "-z", "-l"):
        result = sh(f"vaezip {mode} --max-output 10 {text.name}")
        assert result.returncode == 1
        assert b"--max-output" in result.stderr
    assert sorted(text.parent.iterdir()) == before


def test_without_files_it_is_a_filter(sh: Run, prose: bytes) -> None:
    ends(sh("vaezip | vaezip -d", input=prose[:300]), 0, prose[:300])
    ends(sh("vaezip - | vaezip -d -", input=prose[:300]), 0, prose[:300])
    ends(sh("vaezip < /dev/null | vaezip -dc"), 0)
    ends(sh("vaezip -q -T1 | vzcat", input=prose[:300]), 0, prose[:300])


def test_vzcat_has_a_help_of_its_own_and_writes_no_file(sh: Run, text: Path, prose: bytes) -> None:
    shown = sh("vzcat -h").stdout
    assert shown.startswith(b"Usage: vzcat [OPTIONS] [FILES]...")
    for word in (b"--rm", b"--output", b"--list", b"Commands:", b"--force"):
        assert word not in shown
    assert sh("vzcat --version").stdout.startswith(b"vaezip ")
    ends(sh("vaezip in && mv in.vz blob && vzcat -dcfkn9 blob"), 0, prose[:300])
    for options in ("-o x", "--rm", "-z", "-l", "-t", "--output-dir x"):
        result = sh(f"vzcat {options} blob")
        assert (result.returncode, result.stdout) == (1, b"")
        assert result.stderr.endswith(b"(see vzcat --help)\n")
    assert sorted(os.listdir(text.parent)) == ["blob", "in"]


def test_a_dash_among_files_is_standard_input(sh: Run, text: Path, prose: bytes) -> None:
    blob = sh("vaezip in && echo more | vaezip").stdout
    ends(sh("vaezip -dc in.vz - in.vz", input=blob), 0, prose[:300] + b"more\n" + prose[:300])
    ends(sh("vaezip -dc - -", input=blob), 1, b"", "standard input can be read but once")


def test_outputs_one_after_another_are_one_text(sh: Run, text: Path, prose: bytes) -> None:
    (text.parent / "b").write_bytes(b"another")
    ends(sh("vaezip -c in b | vaezip -d"), 0, prose[:300] + b"another")
    ends(sh("vaezip in b && cat in.vz b.vz | vzcat"), 0, prose[:300] + b"another")
    ends(sh("vzcat in.vz b.vz"), 0, prose[:300] + b"another")


def test_times_and_permissions_come_back_though_they_are_not_stored(sh: Run, text: Path) -> None:
    text.chmod(0o640)
    os.utime(text, ns=(10**18, 10**18 + 7))
    ends(sh("vaezip in && cp in.vz first && rm in && vaezip -d in.vz"), 0)
    assert text.stat().st_mtime_ns == 10**18 + 7
    assert text.stat().st_mode & 0o777 == 0o640
    ends(sh("touch in && mv in renamed && vaezip renamed && cmp renamed.vz first"), 0)


def test_damaged_and_foreign_files_yield_nothing(sh: Run, text: Path) -> None:
    blob = sh("vaezip -c in").stdout
    bad = [b"", b"\x1f\x8b\x08\0", b"PK\x03\x04", blob[:-1], blob[:20] + b"\xff" + blob[21:], blob + b"x"]
    names = [f"bad{number}.vz" for number in range(len(bad))]
    for name, data in zip(names, bad, strict=True):
        (text.parent / name).write_bytes(data)
    for line in ("vaezip -d bad*", "vaezip -t bad*", "vaezip -df bad*", "vzcat -f bad* >/dev/null"):
        ends(sh(line), 1, b"", *(f"{name}: " for name in names))
        assert sorted(os.listdir(text.parent)) == [*names, "in"]


def test_names_that_say_nothing_are_passed_over_with_a_warning(sh: Run, text: Path) -> None:
    blob = sh("vaezip in && cat in.vz").stdout
    ends(sh("vaezip in.vz"), 2, b"", "already has the suffix")
    ends(sh("vaezip -d in"), 2, b"", "does not end in .vz")
    ends(sh("vaezip -q in.vz; echo $?; vaezip -dq in; echo $?"), 0, b"2\n2\n")
    ends(sh("mkdir folder && vaezip folder"), 2, b"", "is a directory")
    ends(sh("vaezip -q missing"), 1, b"", "missing: No such file")
    ends(sh("cp in.vz x && vaezip -dc x | vaezip"), 0, blob)


def test_upper_case_suffixes_are_suffixes(sh: Run, text: Path, prose: bytes) -> None:
    ends(sh("vaezip in && mv in.vz OUT.VZ && vaezip -d OUT.VZ && cat OUT"), 0, prose[:300])
    ends(sh("vaezip OUT.VZ"), 2, b"", "already has the suffix")


def test_nothing_is_overwritten_without_force(sh: Run, text: Path) -> None:
    ends(sh("echo old > in.vz && vaezip in"), 1, b"", "already exists")
    ends(sh("cat in.vz"), 0, b"old\n")
    ends(sh("vaezip -f in && echo old > in && vaezip -d in.vz"), 1, b"", "already exists")
    ends(sh("cat in"), 0, b"old\n")


def test_a_full_disk_is_an_error(sh: Run, text: Path) -> None:
    ends(sh("vaezip in"), 0)
    for line in (
        "vaezip -c in",
        "vaezip < in",
        "vaezip -dc in.vz",
        "vzcat in.vz",
        "vaezip -l in.vz",
        "vaezip -tv in.vz",
    ):
        ends(sh(f"{line} > /dev/full"), 1, b"", "standard output: cannot write: No space left")


def test_what_stands_in_files_named_like_commands_is_reached(sh: Run, text: Path, prose: bytes) -> None:
    for name in ("test", "list"):
        ends(sh(f"cp in {name} && vaezip ./{name} && vaezip -f -- {name} && vaezip -f {name}"), 0)
        ends(sh(f"mv {name}.vz {name} && vzcat {name}"), 0, prose[:300])
    ends(sh("vaezip test < test"), 0)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("comprss in", "compress"),
        ("bnech", "bench"),
        ("Trian in -o x.vzm --minutes 5", "train"),
        ("upack x", "unpack"),
    ],
)
def test_a_misspelt_command_is_not_taken_for_a_file(sh: Run, text: Path, line: str, command: str) -> None:
    word = line.split()[0]
    ends(sh(f"vaezip {line}"), 1, b"", f"no file or command '{word}'; did you mean {command}?")
    assert os.listdir(text.parent) == ["in"]
    ends(sh(f"cp in {word} && vaezip {word} && vaezip -t {word}.vz"), 0)


def test_a_file_that_is_missing_is_no_misspelt_command(sh: Run, text: Path) -> None:
    for word in ("notes", "tests.txt", "./comprss"):
        ends(sh(f"vaezip {word} in -c >/dev/null"), 1, b"", f"{word}: No such file")
    for line in ("-v comprss", "-- comprss", "compress comprss", "-d comprss.vz"):
        assert b"did you mean" not in sh(f"vaezip {line}").stderr
    ends(sh("ln -s nowhere comprss; vaezip comprss"), 1, b"", "comprss: No such file")


def test_there_are_levels_from_1_to_9(sh: Run, text: Path) -> None:
    for line in ("-0 in", "-10 in", "in -20c", "compress -10 in", "-d -10 in.vz"):
        ends(sh(f"vaezip {line}"), 1, b"", "levels go from -1 to -9")
    ends(sh("vaezip test -0 in"), 1, b"", "vaezip: -0 is about the names in a --filelist")
    assert os.listdir(text.parent) == ["in"]
    ends(sh("printf 'in\\0' | vaezip -10c --filelist -"), 0, sh("vaezip -1c in").stdout)


def test_the_environment_gives_model_and_threads(sh: Run, text: Path, programs: dict[str, str]) -> None:
    blob = sh("vaezip -c in").stdout
    standard = sh("VAEZIP_MODEL=standard vaezip -c in").stdout
    assert standard == sh("vaezip -m standard -c in").stdout != blob
    ends(sh("VAEZIP_THREADS=2 vaezip -c in"), 0, blob)
    ends(sh("VAEZIP_THREADS= VAEZIP_MODEL=standard vaezip -c in"), 0, standard)
    ends(sh("VAEZIP_THREADS=many vaezip -c in"), 1, b"", "(env var: 'VAEZIP_THREADS'): 'many' is not a whole")
    ends(
        sh("VAEZIP_THREADS=2 vaezip -T many -c in"),
        1,
        b"",
        "'-T' / '--threads': 'many' is not a whole number",
    )
    ends(sh("VAEZIP_THREADS=many vaezip -T1 -c in"), 0, blob)
    for model, problem in (("missing.vzm", "no such file"), ("in", "not a vaezip model"), (".", "")):
        wrong = sh(f"VAEZIP_MODEL={model} vaezip -c in in in")
        ends(wrong, 1, b"", problem)
        assert wrong.stderr.startswith(b"vaezip: VAEZIP_MODEL: ")
    ends(sh(f"VAEZIP_MODEL=missing.vzm vaezip -m '{TINY}' -c in"), 0, blob)
    ends(sh("VAEZIP_MAX_OUTPUT=1 VAEZIP_STDOUT=1 VAEZIP_RM=1 vaezip in && vaezip -t in.vz && test -e in"), 0)


def test_on_a_terminal_it_shows_its_help_and_no_binary_data(programs: dict[str, str], text: Path) -> None:
    program = str(Path(programs["PATH"].split(os.pathsep)[0]) / "vaezip")
    both = {"stdin", "stdout"}
    bare = on_terminal([program], both, env=programs)
    assert (bare.returncode, bare.stderr) == (0, b"")
    assert bare.stdout.startswith(b"Usage: vaezip [OPTIONS] [FILES]...")
    refused = "refusing to write compressed data"
    ends(on_terminal([program, "-c", str(text)], both, env=programs), 1, b"", refused)
    ends(on_terminal([program], {"stdout"}, env=programs), 1, b"", refused)
    for mode in ("-d", "-t"):
        ends(on_terminal([program, mode], both, env=programs), 1, b"", "refusing to read compressed data")
    for command in ("pack", "dict"):
        waiting = [sys.executable, "-m", "vaezip", command, "-o", str(text.with_name("x"))]
        said = on_terminal(["timeout", "--foreground", "2", *waiting], {"stdin"}, env=programs).stderr
        assert said == b"reading standard input: what is typed here, until Ctrl-D\n"
    assert on_terminal([program, "-cf", str(text)], both, env=programs).stdout
