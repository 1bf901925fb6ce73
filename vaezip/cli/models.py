"""`vaezip models`."""

from __future__ import annotations

import click

from vaezip.cli.report import Report, json_text, say
from vaezip.errors import printable

_LINE = "{:20} {:16} {:>10} {:>15} {}"


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
def models_command(as_json: bool) -> int:
    """Show the models and dictionaries at hand: those that come with vaezip, and your own.

    \b
    vaezip models

    Your own are files NAME.vzm, dictionaries NAME.vzd, in ~/.local/share/vaezip/models, or in the folders
    that the environment variable VAEZIP_MODEL_PATH names. -m NAME and -D NAME compress with them; decompress
    finds by itself with which ones a file was made. Speed is that of compressing 32 KB on one core of this
    machine, just now.
    """
    from vaezip.bench.compressors import model_speed
    from vaezip.dictionaries.known import known_dictionaries
    from vaezip.errors import ModelError
    from vaezip.known_models import known_models

    report, rows = Report(quiet=False), []
    for known in known_models():
        try:
            measured = model_speed(known.path)
        except ModelError as error:
            report.warn(str(error))
            continue
        rows.append(
            {
                "kind": "model",
                "name": known.name,
                "fingerprint": known.fingerprint.hex(),
                "bytes": known.size,
                "bytes_per_second": round(measured),
                "path": known.path,
            }
        )
    for one in known_dictionaries():
        rows.append(
            {
                "kind": "dictionary",
                "name": one.name,
                "fingerprint": one.fingerprint.hex(),
                "bytes": one.size,
                "path": one.path,
            }
        )
    if as_json:
        say(json_text(rows, indent=2))
        return report.exit_code
    say(_LINE.format("name", "fingerprint", "bytes", "compresses", "file"))
    for row in rows:
        speed = row.get("bytes_per_second")
        shown = "(dictionary)" if speed is None else f"{int(str(speed)) / 1000:.0f} KB/s"
        say(
            _LINE.format(
                printable(str(row["name"])),
                str(row["fingerprint"])[:16],
                row["bytes"],
                shown,
                printable(str(row["path"])),
            )
        )
    return report.exit_code
