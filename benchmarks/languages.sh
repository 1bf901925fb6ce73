#!/bin/sh
# Four manual pages in ten languages, a folder for each, from Debian's packages (with mandoc and bsdextrautils):
#     benchmarks/languages.sh languages && vaezip map --svg docs/languages.svg languages
set -eu
target=$(realpath -m "$1")
mkdir "$target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for language in cs de es fr ja nl pl ro uk zh; do
    apt-get -q download "manpages-$language"
done
for package in *.deb; do
    dpkg -x "$package" all
done
for language in cs de es fr ja nl pl ro uk zh_CN; do
    mkdir "$target/$language"
    for page in cp dd ls mv; do
        zcat "all/usr/share/man/$language/man1/$page.1.gz" | mandoc -Tutf8 | col -bx >"$target/$language/$page.txt"
    done
done
