"""Records for messages.py that packages have: XML, rows of SQL and addresses, one file each.

    python benchmarks/records.py FOLDER

Downloads the packages named below with apt-get (on Debian 12, amd64) and with pip (which needs setuptools),
and writes FOLDER/xml.txt: providers of mobile networks, with an empty line between two; sql.txt: INSERT
statements of the first filling of a monitoring system's database; addresses.txt: postal ones of the United
States, as people write them.
"""

from __future__ import annotations

import gzip
import html
import random
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import click

USADDRESS = "usaddress==0.5.16"  # MIT; of PyPI
PROVIDERS = "mobile-broadband-provider-info=20230416-1"  # public domain; of Debian
ZABBIX = "zabbix-server-pgsql=1:6.0.14+dfsg-1+b1"  # GPL-2+; of Debian
ROWS = 1500  # of the 121,773 in the database


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the records into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "xml.txt", "\n\n".join(providers(unpacked(PROVIDERS, folder))))
    write(folder / "sql.txt", "\n".join(rows(unpacked(ZABBIX, folder))))
    write(folder / "addresses.txt", "\n".join(addresses(folder)))


def write(path: Path, text: str) -> None:
    """With a line's end, and say so."""
    path.write_text(text + "\n")
    click.echo(f"{path}: {path.stat().st_size} bytes")


def unpacked(package: str, folder: Path) -> Path:
    """The folder with the data of a Debian package."""
    name, target = package.partition("=")[0], folder / package.partition("=")[0]
    if not target.exists():
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        subprocess.run(["dpkg-deb", "-x", *folder.glob(f"{name}_*.deb"), target], check=True)
    return target / "usr/share" / name


def providers(folder: Path) -> list[str]:
    """Their elements."""
    text = (folder / "serviceproviders.xml").read_text()
    elements = re.findall(r"<provider[ >].*?</provider>", text, re.DOTALL)
    return [re.sub(r"\n\s*\n", "\n", element) for element in elements]


def rows(folder: Path) -> list[str]:
    """Some of the statements that are on one line."""
    text = gzip.decompress((folder / "data.sql.gz").read_bytes()).decode()
    found = re.findall(r"^INSERT INTO .*;$", text, re.MULTILINE)
    return random.Random(1).sample(found, ROWS)


def addresses(folder: Path) -> list[str]:
    """Labelled ones without their labels, and those that a parser failed on."""
    source = f"{USADDRESS.replace('==', '-')}.tar.gz"
    if not (folder / source).exists():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-binary=:all:",
            "--no-build-isolation",
            USADDRESS,
        ]
        subprocess.run(pip, cwd=folder, check=True)
    with tarfile.open(folder / source) as archive:
        labelled, failed = (
            archive.extractfile(f"{source.removesuffix('.tar.gz')}/training/{name}").read().decode()  # type: ignore[union-attr]
            for name in ("labeled.xml", "unparseable.csv")
        )
    found = re.findall(r"<AddressString>(.*?)</AddressString>", labelled, re.DOTALL)
    plain = [" ".join(html.unescape(re.sub(r"<[^>]*>", "", one)).split()) for one in found]
    return plain + [line.strip('" \r') for line in failed.splitlines()]


if __name__ == "__main__":
    main()
