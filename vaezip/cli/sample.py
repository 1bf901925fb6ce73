"""`vaezip sample`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from vaezip.cli.numbers import Decimal, Whole, WholeList, WholeRange
from vaezip.cli.options import PATH, chosen_model, model_option
from vaezip.cli.report import mention_slow_engine, note
from vaezip.inputs import STDIO

_STEPS = 5


@click.command()
@click.option(
    "--length",
    metavar="N",
    type=Whole(),
    default=1000,
    show_default=True,
    help="Characters of each sample, as wc -m counts them.",
)
@click.option("-n", "--samples", metavar="N", type=WholeRange(1), help="How many. [default: 1]")
@click.option(
    "--seed",
    metavar="N",
    type=Whole(),
    help="The same gives the same text on every machine; of several samples, it is that of the first, "
    "and each next one has one more. "
    "[default: another each time]",
)
@click.option(
    "--temperature",
    metavar="T",
    type=Decimal(),
    default=1.0,
    show_default=True,
    help="Below 1 less is dared, above it more; 0 takes the likeliest byte each time.",
)
@click.option(
    "--top-p",
    metavar="P",
    type=Decimal(),
    default=1.0,
    show_default=True,
    help="Draw only from the likeliest bytes that together have this probability.",
)
@click.option("--prompt", metavar="TEXT", help="A text to go on from; it is not repeated.")
@click.option("--prompt-file", metavar="FILE", type=PATH, help="The same from a file; - is standard input.")
@click.option("--like", metavar="FILE", type=PATH, help="Draw z from what the encoder makes of FILE.")
@click.option(
    "--between",
    metavar="A B",
    type=PATH,
    nargs=2,
    help="Sample all the way from file A to file B, in steps between their z.",
)
@click.option("--steps", metavar="K", type=WholeRange(2), help=f"So many. [default: {_STEPS}]")
@click.option(
    "--z", metavar="Z", type=WholeList(), help="The latent itself, a number for each: 1,0,-2,0,0,3,0,0."
)
@click.option(
    "--preset", metavar="K", type=Whole(), help="Which of the mixer's presets to begin with, 0 to 3."
)
@click.option("-v", "--verbose", is_flag=True, help="Say seed, z and preset of each sample.")
@model_option
def sample(
    samples: int | None,
    seed: int | None,
    prompt: str | None,
    prompt_file: str | None,
    like: str | None,
    between: tuple[str, str] | None,
    steps: int | None,
    verbose: bool,
    model: str | None,
    **options: Any,
) -> None:
    """Write text that the model thinks likely, as it comes.

    \b
    vaezip sample --seed 7 --temperature 0.9
    vaezip sample --prompt "Dear Sir, I have the honour to " --length 300
    vaezip sample --like notes.txt -n 3

    Where nothing says what it is to be like, z is drawn from the prior. With --prompt, --like or --between, z
    comes of that text (for a prompt of less than 16 bytes, z is 0), and the mixer begins as it would to
    compress it. Where a sample does not end in a line feed, one is added. Several have a line above each,
    such as ==> seed 7 <== or ==> 2 of 5 <==.
    """
    if prompt is not None and prompt_file is not None:
        raise click.UsageError("give either --prompt or --prompt-file.")
    if between and samples is not None:
        raise click.UsageError("--between makes one sample for each of --steps, and does not go with -n.")
    if steps is not None and not between:
        raise click.UsageError("--steps goes with --between.")
    if [prompt_file, like, *(between or ())].count(STDIO) > 1:
        raise click.UsageError("standard input can be read but once.")
    from vaezip.sampling import sample as library

    mention_slow_engine(quiet=False)
    options |= {
        "model": chosen_model(model).to_write,
        "prompt": os.fsencode(prompt or "") if prompt_file is None else _read(prompt_file),
        "like": None if like is None else _read(like),
    }
    count = samples or 1
    if between:
        count = steps or _STEPS
        options |= {"between": tuple(map(_read, between)), "steps": count}
    for number in range(count):
        try:
            drawn = library(**options, seed=seed, step=number)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        seed = (drawn.seed + (not between)) % (1 << 64)
        if verbose:
            note(f"seed {drawn.seed}, preset {drawn.preset}, z {','.join(map(str, drawn.z))}")
        if count > 1:
            head = f"{number + 1} of {count}" if between else f"seed {drawn.seed}"
            sys.stdout.buffer.write(f"==> {head} <==\n".encode())
        _write(drawn)


def _read(path: str) -> bytes:
    """A file, or as much of it as anything here takes; raises FileError."""
    from vaezip.byteio import ByteReader
    from vaezip.errors import FileError, SkippedError
    from vaezip.files import open_input
    from vaezip.sampling import LONGEST_PROMPT

    try:
        with open_input(None if path == STDIO else path) as source:
            return ByteReader(source).read_some(LONGEST_PROMPT + 1)
    except SkippedError as error:
        raise FileError(f"{path}: is a directory") from error


def _write(characters: Iterable[bytes]) -> None:
    """Write characters to standard output as they come."""
    character = b""
    for character in characters:
        sys.stdout.buffer.write(character)
        sys.stdout.buffer.flush()
    if character not in (b"", b"\n"):
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
