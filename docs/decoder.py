"""A decoder of all that vaezip writes, made from the documents beside it alone, to be read along with them.

    python docs/decoder.py MODEL.vzm FILE.vz [-D DICTIONARY.vzd] > text
    python docs/decoder.py MODEL.vzm FILE.vzp [-D DICTIONARY.vzd] > records  # files: names, contents
    python docs/decoder.py MODEL.vzm FILE --message [--check N] [-D DICTIONARY.vzd] > text

It needs numpy and no part of vaezip, and reads some hundred bytes a second. Its parts follow the way of the
data; names and sections are those of format.md, network.md and mixer.md. Models are trusted if their
self-test says that they are whole: what else network.md has a reader refuse in them is left out.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import zlib
from bisect import bisect
from pathlib import Path
from typing import Any

import numpy as np

Array = Any  # a numpy array, of int64 unless told otherwise
P, M, S = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F  # network.md, "Features"
MASK, WHOLE = 2**64 - 1, 2**24  # hashes are modulo 2^64; a row of frequencies sums to 2^24


class DecodeError(Exception):
    """The data are damaged, or need something else."""


def require(condition: bool, otherwise: str) -> None:
    """Refuse the data unless the condition holds."""
    if not condition:
        raise DecodeError(otherwise)


def crc(data: bytes, size: int = 4) -> bytes:
    """Return the first bytes of the CRC."""
    return zlib.crc32(data).to_bytes(4, "little")[:size]


def clip(x: Array, a: int, b: int) -> Array:
    """Limit x to [a, b]; as np.clip, but faster on small arrays."""
    return np.minimum(np.maximum(x, a), b)


class Input:
    """Bytes, read one part after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        require(self.at + size <= len(self.data), "the data end early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:  # format.md, "Numbers"
        first = self.take(1)[0]
        if first < 252:
            return first if first < 224 else 224 + 256 * (first - 224) + self.take(1)[0]
        size, least = ((2, 7392), (3, 2**16), (4, 2**24), (8, 2**32))[first - 252]
        value = int.from_bytes(self.take(size), "little")
        require(value >= least, "a number is not in its shortest form")
        return value

    def check(self, size: int, begin: int) -> None:  # of all from begin to here
        found = crc(self.data[begin : self.at], size)
        require(self.take(size) == found, "a checksum does not match")


class Model:
    """network.md, "The model file"."""

    def __init__(self, data: bytes) -> None:
        self.fingerprint = hashlib.sha256(data).digest()
        begin = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:begin])
        self.sizes = json.loads(header.pop("__metadata__")["architecture"])
        self.tensors: dict[str, Array] = {}
        types = {"F32": "<f4", "U32": "<u4", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
        for name, entry in header.items():
            first, end = (begin + offset for offset in entry["data_offsets"])
            tensor: Array = np.frombuffer(data[first:end], types[entry["dtype"]]).reshape(entry["shape"])
            if name not in ("decoder.tables", "decoder.tags"):  # which are large
                tensor = tensor.astype(np.float32 if name.endswith(".weight") else np.int64)
            self.tensors[name] = tensor
        text = bytes(self.tensors["self_test.text"].tolist())
        predictor = Predictor(self, np.ones(self.sizes["latents"], np.int64), 3, len(text))
        values = [value for byte in text for value in predictor.code(byte)[1:]]
        found = zlib.crc32(np.concatenate([values, *encoder(self, text)]).astype("<i4").tobytes())
        require(found == self.tensors["self_test.value"][0], "the model's self-test fails")

    def __deepcopy__(self, memo: object) -> Model:
        return self

    def linear(self, name: str, a: Array) -> Array:  # "Linear"; float32 holds these sums exactly
        product = (a.astype(np.float32) @ self.tensors[f"{name}.weight"].T).astype(np.int64)
        pre, post = self.tensors[f"{name}.shift"]
        return (product >> pre) * self.tensors[f"{name}.multiplier"] + self.tensors[f"{name}.bias"] >> post


class Dictionary:
    """format.md, "Dictionaries"."""

    def __init__(self, terminator: int, share: int, text: bytes) -> None:
        self.terminator, self.share, self.text = terminator, share, text
        self.fingerprint = hashlib.sha256(bytes([terminator, share]) + text).digest()
        require(1 <= share <= 250 and text.endswith(bytes([terminator])), "this is no dictionary")
        require(len(text) <= 2**18, "the dictionary is too long")

    @staticmethod
    def of_file(data: bytes) -> Dictionary:
        require(data[:5] == b"\xf5vzd\1" and crc(data[:-4]) == data[-4:], "this is no .vzd file, or damaged")
        return Dictionary(data[5], data[6], zlib.decompress(data[7:-4]))

    def frequencies(self) -> list[int]:  # "Messages", 2
        weights = [1, 1, 2, 4, 8, 12, 12, 8, 4, 3, 2, 2, 1, 1, 1, 1, 1]
        for text in self.text[:-1].split(bytes([self.terminator])):
            weights[min(max(len(text), 1), 2**16).bit_length() - 1] += 20
        row = [1 + (w * ((WHOLE - 17) * 2**28 // sum(weights)) >> 28) for w in weights]
        row[weights.index(max(weights))] += WHOLE - sum(row)
        return row


class Decoder:
    """Decodes files, messages and packs, with a model, and a dictionary if they need one: format.md."""

    def __init__(self, model: Model, dictionary: Dictionary | None = None) -> None:
        self.model, self.dictionary = model, dictionary or Dictionary(10, 200, b"\n")
        self.after: dict[int, Predictor] = {}

    def read_dictionary(self, n: int = 0) -> Predictor:  # "Dictionaries"
        size = len(self.dictionary.text) + max(4096, n)
        if size not in self.after:
            self.after[size] = Predictor(self.model, np.zeros(self.model.sizes["latents"], np.int64), 0, size)
            for byte in self.dictionary.text:
                self.after[size].code(byte)
        return copy.deepcopy(self.after[size])

    def require_named(self, fingerprint: bytes, dictionary: bytes) -> None:
        require(self.model.fingerprint.startswith(fingerprint), "another model is needed")
        require(self.dictionary.fingerprint.startswith(dictionary), "a dictionary is needed, or another one")

    def file(self, data: bytes) -> bytes:  # "Frames"
        source, content = Input(data), b""
        require(data != b"", "there is no frame")
        while source.at < len(data):
            content += self.frame(source)
        return content

    def frame(self, source: Input) -> bytes:
        begin, magic = source.at, source.take(1)[0]
        require(magic >= 0xF6, "this is no .vz file")
        descriptor = 32 + magic % 16 if magic >= 0xF8 else source.take(1)[0]
        layout, named = descriptor >> 2 & 3, magic == 0xF7
        fingerprint = source.take(1 if layout else 8)
        dictionary = source.take(len(fingerprint)) if named else b""
        size = source.number()
        second = source.number() if layout != 1 else 0
        source.check(1 if layout else 4, begin)
        require(descriptor >> 4 == 2, "the frame is of a newer version")
        require(size <= 2**24, "a block is too large")
        self.require_named(fingerprint, dictionary)
        if layout:
            return self.block(source, descriptor & 15, size, second, named)
        content, blocks, at = b"", list[int](), source.at
        header = at - begin
        while kind := source.take(1)[0]:
            length = source.number()
            require(1 <= length <= size, "a block's size is wrong")
            payload_size = source.number() if kind >> 2 != 1 else 0
            content += self.block(source, kind, length, payload_size, named)
            blocks += [length, source.at - at]
            at = source.at
        index = [header, len(blocks) // 2, *blocks]
        require([source.number() for _ in index] == index, "the index disagrees with the blocks")
        source.check(4, at)
        require(source.at - at == int.from_bytes(source.take(4), "little"), "the index's length is wrong")
        require(second in (0, len(content) + 1), "the content's size is wrong")
        return content

    def block(self, source: Input, kind: int, size: int, payload_size: int, named: bool) -> bytes:
        method, preset, begin = kind >> 2, kind & 3, source.at  # "Blocks"
        require(kind in ((4, 12) if named else (4, *range(8, 16))), "there is no such block")
        if method == 1:
            content = source.take(size)
            source.check(4, begin)
            return content
        require(payload_size <= size + 4, "a payload is too long")
        stack, z = Stack(source.take(payload_size)), np.zeros(self.model.sizes["latents"], np.int64)  # 1
        if method == 2:  # 2
            require(size >= self.model.sizes["patch"] ** 2, "this block is too short for a latent")
            for j, row in enumerate(self.model.tensors["latent.prior"].tolist()):
                z[j] = pop_symbol(stack, row) - (len(row) - 1) // 2
        predictor = self.read_dictionary(size) if named else Predictor(self.model, z, preset, size)
        content = bytes(predictor.code(coder=stack)[0] for _ in range(size))  # 3
        if method == 2:  # 4
            for z_j, (candidates, row) in reversed(list(zip(z, posterior(self.model, content), strict=True))):
                require(z_j in candidates, "the latent is not the content's")
                symbol = candidates.index(z_j)
                stack.push(sum(row[:symbol]), row[symbol])
        checksum = int.from_bytes(crc(content, 3 if size <= 1024 else 4), "little")  # 5
        require(not stack.words and stack.state == checksum, "a checksum does not match")
        return content

    def message(self, data: bytes, check: int = 0) -> bytes:  # "Messages"; check is c
        if not data:
            return b""
        if data[0] == 255:
            require(check < len(data) <= 1 + 2**16 + check, "the message has another size")
            text, found = data[1 : len(data) - check], data[len(data) - check :]
        else:
            require(data[-1] > 0, "the message ends in a zero")
            coder = RangeCoder(data)
            text = self.text(coder, self.read_dictionary())
            found = bytes(pop_symbol(coder, [2**16] * 256) for _ in range(check))  # 4
        require(found == crc(text, check), "a checksum does not match")
        return text

    def text(self, coder: Coder, predictor: Predictor, most: int = 2**16) -> bytes:  # "Messages", 1 to 3
        s = self.dictionary.share
        end = pop_symbol(coder, [s << 16, 4 << 16, 251 - s << 16, 1 << 16])  # 1: ended, a line, counted, none
        require(end < 3, "a text ends in no known way")
        if end == 2:  # 2
            b = pop_symbol(coder, self.dictionary.frequencies())
            below = coder.quantile >> 24 - b
            coder.pop(below << 24 - b, WHOLE >> b)
            require(2**b + below <= most, "a text is too long")
            text = bytes(predictor.code(coder=coder)[0] for _ in range(2**b + below))  # 3
            if text[-1] != self.dictionary.terminator:  # for the next text of a pack
                predictor.code(self.dictionary.terminator)
            return text
        text = b""
        while not text.endswith(bytes([self.dictionary.terminator])):
            require(len(text) < min(4096, most + 1), "a text is too long")
            text += bytes([predictor.code(coder=coder)[0]])
        return text if end == 1 else text[:-1]

    def texts(self, coder: Coder, predictor: Predictor, count: int) -> list[bytes]:  # of a payload or record
        texts, most = list[bytes](), 2**16
        for _ in range(count):
            texts.append(self.text(coder, predictor, most))
            most -= len(texts[-1]) + 1
        return texts

    def pack(self, data: bytes) -> tuple[bytes, list[list[bytes]]]:  # "Packs"
        source, records = Input(data), list[list[bytes]]()
        require(source.take(5) == b"\xf5vzp\1", "this is no pack")
        flags, separator, fingerprint = source.take(1)[0], source.take(1), source.take(8)
        k = source.number()
        terminator, share = source.take(2)
        carried, needed = source.take(source.number()), source.take(source.number())
        source.check(4, 0)
        require(flags < 8, "the pack is of a newer version")
        require(1 <= k <= 1024 and len(needed) in (0, 8) and not (carried and needed), "the header is wrong")
        self.require_named(fingerprint, needed)
        dictionary = Dictionary(terminator, share, Decoder(self.model).file(carried)) if carried else None
        decoder = self if needed else Decoder(self.model, dictionary)
        while source.at < len(data):
            begin = source.at
            n, size, check = source.number(), source.number(), source.take(4)
            source.check(1, begin)
            require(n <= 2**20 and size <= 2**26, "a segment is too large")
            body = source.take(size)
            require(crc(body) == check, "a checksum does not match")
            texts = 1 + (flags & 1)
            records += decoder.unordered(body, n, texts) if flags & 2 else decoder.ordered(body, n, k, texts)
        written = b"".join(text + separator for record in records for text in record)
        return written[:-1] if flags & 4 else written, records

    def ordered(self, body: bytes, n: int, k: int, texts: int) -> list[list[bytes]]:  # "In order"
        source, records = Input(body), list[list[bytes]]()
        for size in [source.number() for _ in range(-(-n // k))]:
            coder, predictor = RangeCoder(source.take(size)), self.read_dictionary()
            found = self.texts(coder, predictor, texts * min(k, n - len(records)))
            records += [found[i : i + texts] for i in range(0, len(found), texts)]
        require(source.at == len(body), "a segment is longer than its payloads")
        return records

    def unordered(self, body: bytes, n: int, texts: int) -> list[list[bytes]]:  # "Unordered"
        stack, records = Stack(body), list[list[bytes]]()
        for i in range(1, n + 1):
            record = self.texts(stack, self.read_dictionary(), texts)
            records = sorted([*records, record])
            f = records.index(record)
            e = f + records.count(record)
            c, end = WHOLE * f // i, WHOLE * e // i
            if end - c < WHOLE:
                stack.push(c, end - c)
        require(not stack.words and stack.state == 0, "a segment is longer than its records")
        return records


class Stack:
    """format.md, "The ANS stack"; of a row, it is given where the symbol begins, c, and how wide it is, f."""

    def __init__(self, payload: bytes) -> None:
        require(not payload.endswith(b"\0"), "a payload ends in a zero")
        self.words, self.state = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").tolist(), 0
        while self.words and self.state < 2**32:
            self.state = self.state << 32 | self.words.pop()

    @property
    def quantile(self) -> int:
        return int(self.state % WHOLE)

    def pop(self, c: int, f: int) -> None:
        self.state = (self.state >> 24) * f + self.quantile - c
        if self.words and self.state < 2**32:
            self.state = self.state << 32 | self.words.pop()

    def push(self, c: int, f: int) -> None:
        if self.state >> 40 >= f:
            self.words.append(self.state & 0xFFFFFFFF)
            self.state >>= 32
        self.state = (self.state // f << 24) + c + self.state % f


class RangeCoder:
    """format.md, "The range coder"."""

    def __init__(self, data: bytes) -> None:
        self.code, self.rest = int.from_bytes(data[:8].ljust(8, b"\0"), "big"), iter(data[8:])
        self.range = MASK

    @property
    def quantile(self) -> int:
        return min(WHOLE - 1, self.code // (self.range >> 24))

    def pop(self, c: int, f: int) -> None:
        u = self.range >> 24
        self.code, self.range = self.code - u * c, u * f
        while self.range < 2**56:
            self.code, self.range = self.code * 256 + next(self.rest, 0), self.range * 256


Coder = Stack | RangeCoder


def pop_symbol(coder: Coder, row: list[int]) -> int:
    """Pop a symbol by its row of frequencies."""
    ends = np.cumsum(row).tolist()
    symbol = bisect(ends, coder.quantile)
    coder.pop(ends[symbol] - row[symbol], row[symbol])
    return symbol


class Predictor:
    """Network and mixer, and what they have read so far: mixer.md, "Bytes as intervals"."""

    def __init__(self, model: Model, z: Array, preset: int, size: int) -> None:
        self.text, self.network, self.mixer = Text(), Network(model, z), Mixer(model, preset, size)

    def code(self, byte: int | None = None, coder: Coder | None = None) -> tuple[int, int, int]:
        """Read this byte, or pop it from a coder; also give where its interval begins, and its width."""
        quantile = coder.quantile if coder else 1
        require(0 < quantile < WHOLE - 1, "no byte is coded so")
        self.mixer.begin_byte(self.text, self.network.exponentials(self.text))
        begin, r, node = 1, WHOLE - 2, 1
        for depth in range(8):
            leaves = 2 ** (7 - depth)
            ones = min(max(r * self.mixer.predict(self.text, node, depth) >> 16, leaves), r - leaves)
            bit = byte >> (7 - depth) & 1 if byte is not None else int(quantile >= begin + r - ones)
            begin, r, node = begin + (r - ones) * bit, ones if bit else r - ones, 2 * node + bit
            self.mixer.learn(len(self.text.bytes), bit)
        if coder:
            coder.pop(begin, r)
        self.text.add(node - 256)
        return node - 256, begin, r


def normalised(y: Array, norm: Array) -> Array:
    """network.md, "S_i(y)", up to the third x."""
    q = int(y @ y) | 1
    e = (q.bit_length() + 1) // 2
    x = y << 15 - e if e <= 15 else y >> e - 15
    return x * norm[q << 10 >> 2 * e] + 2**12 >> 13


class Network:
    """network.md, "Decoder", and "What z sets"."""

    def __init__(self, model: Model, z: Array) -> None:
        self.model, self.tensors = model, model.tensors
        start, scale, shift = (self.tensors[f"decoder.{name}"] for name in ("start", "scale", "shift"))
        a = scale + (z @ self.tensors["decoder.z_scale"]).reshape(scale.shape)
        b = shift + (z @ self.tensors["decoder.z_shift"]).reshape(shift.shape)
        h = start + (z @ self.tensors["decoder.z_start"]).reshape(start.shape)
        self.a, self.b = clip(a, 1 - 2**14, 2**14 - 1), clip(b, 1 - 2**29, 2**29 - 1)
        self.h = self.curve("tanh", h) << 9

    def curve(self, name: str, u: Array) -> Array:
        return self.tensors[f"decoder.{name}"][clip(u + 2048, 0, 4095)]

    def modulated(self, y: Array, i: int) -> Array:  # S_i(y)
        x = normalised(y, self.tensors["decoder.norm"])
        return clip(x * self.a[i] + self.b[i] >> 19, -127, 127)

    def features(self, text: Text) -> Array:  # "Features"
        keys, begin, rows = [text.last(n) for n in self.model.sizes["orders"]], 0, []
        u, words = (0, text.words) if text.word_size else (1 + text.last(1), text.words[1:])
        for k in range(self.model.sizes["word_contexts"]):
            u = u * S + words[k] & MASK
            keys.append(u)
        for k, (key, bits) in enumerate(zip(keys, self.model.sizes["table_bits"], strict=True)):
            key = (key + (k + 1) * S) * M & MASK
            key = (key ^ key >> 32) * P & MASK
            slot, tag = key >> 64 - bits, key >> 56 - bits & 255 or 1
            rows.append(begin + (slot if self.tensors["decoder.tags"][begin + slot] == tag else tag))
            begin += 2**bits
        return self.model.linear("decoder.features", self.tensors["decoder.tables"][rows].reshape(-1))

    def exponentials(self, text: Text) -> Array:  # 1 + exp(logit) of every value of the next byte
        y = self.tensors["decoder.byte"][text.last(1)] + self.features(text)
        for i, h in enumerate(self.h):
            layer = f"decoder.layers.{i}."
            f, c, o = self.model.linear(layer + "gates", self.modulated(y, 2 * i)).reshape(3, -1)
            f, c, o = self.curve("sigmoid", f), self.curve("tanh", c), self.curve("sigmoid", o)
            h += ((c << 9) - h) * (2**15 - f) + 2**14 >> 15
            a = (o * (h >> 9) >> 15) * self.tensors[layer + "out_scale"] + 2**19 >> 20
            y = y + self.model.linear(layer + "out", clip(a, -127, 127))
            up = self.model.linear(layer + "up", self.modulated(y, 2 * i + 1))
            y = y + self.model.linear(layer + "down", clip(up, 0, 127))
        logits = self.model.linear("decoder.head", self.modulated(y, 2 * len(self.h)))
        return 1 + self.tensors["decoder.exp"][np.minimum(logits.max() - logits, 1087)]


def encoder(model: Model, content: bytes) -> tuple[Array, Array]:
    """network.md, "Encoder": means and scales."""
    if len(content) > 4096:
        content = b"".join(content[k * (len(content) - 64) // 63 :][:64] for k in range(64))
    groups = len(content) // model.sizes["patch"] ** 2
    read = np.frombuffer(content, np.uint8)[: groups * model.sizes["patch"] ** 2]
    rows = model.tensors["encoder.byte"][read].reshape(groups * model.sizes["patch"], -1)
    first = clip(model.linear("encoder.conv1", rows), 0, 127)
    second = clip(model.linear("encoder.conv2", first.reshape(groups, -1)), 0, 2**14 - 1)
    x = normalised(second.sum(0) * (2**20 // groups) >> 12, model.tensors["encoder.norm"])
    p = clip(x * model.tensors["encoder.pool"] + 2**18 >> 19, 0, 127)
    g = clip(model.linear("encoder.hidden", p), 0, 127)
    return model.linear("encoder.mean", g), model.linear("encoder.log_scale", g)


def posterior(model: Model, content: bytes) -> list[tuple[list[int], list[int]]]:
    """network.md, "Posterior": candidates and frequencies of every coordinate."""
    table, rows = model.tensors["latent.posterior"], []
    radius = table.shape[2] // 2
    limit = 8 * (model.tensors["latent.prior"].shape[1] // 2 - radius)
    means, scales = encoder(model, content)
    for mean, scale in zip(clip(means, -limit, limit), clip(scales, 0, len(table) - 1), strict=True):
        r = int(mean + 4) // 8
        phase = mean - 8 * r + 4
        order = sorted((abs(8 * k - (phase - 4)), k) for k in range(-radius, radius + 1))
        rows.append(([r + k for _, k in order], table[scale, phase].tolist()))
    return rows


def hashed(x: int) -> int:
    """mixer.md, "What the block has shown"."""
    y = x * M & MASK
    return (y ^ y >> 32) * P & MASK


class Text:
    """The bytes so far, and what contexts are made of (mixer.md, "What the block has shown")."""

    def __init__(self) -> None:
        self.bytes, self.followers = bytearray(), dict[int, int]()
        self.words, self.word_size = [0] * 6, 0  # w, v, u …
        self.shape = self.item = self.first_word = self.first = self.separator = 0
        self.indent = self.indent_above = self.line = self.line_above = 0
        self.fields, self.fields_above = [0], list[int]()  # where they begin

    def last(self, k: int) -> int:  # h_k
        return int.from_bytes(self.bytes[-k:], "big")

    def add(self, byte: int) -> None:
        char, column, key = bytes([byte]), len(self.bytes) - self.line, hashed(self.last(3)) >> 48
        self.followers[key] = (self.followers.get(key, 0) << 8 | byte) & 0xFFFF
        self.bytes.append(byte)
        if in_word := char.isalnum() or byte > 127:
            self.words[0] = (self.words[0] + char.lower()[0] + 1) * P & MASK
            self.word_size += 1
        elif self.word_size:
            self.first_word = self.first_word or self.words[0]
            self.words, self.word_size = [0, *self.words[:5]], 0
        high_or_digit = 128 if byte > 127 else 48 if char.isdigit() else 0
        kind = high_or_digit or (65 if char.isupper() else 97 if char.islower() else byte)
        self.shape = self.shape if kind == self.shape & 255 else (self.shape << 8 | kind) & MASK
        item = (self.item if byte == 32 else self.item + byte + 1) * P & MASK
        self.item = item if in_word or char in b"_-. " else 0
        self.first = self.first if column else byte
        self.indent += char in b" \t" and self.indent == column
        if char in b',\t|;:="':
            self.separator = byte
            self.fields.append(len(self.bytes))
        if byte == 10:
            self.line_above, self.line = self.line, len(self.bytes)
            self.fields_above, self.fields = self.fields, [self.line]
            self.indent_above, self.indent = self.indent, 0
            self.first = self.separator = self.first_word = 0

    def contexts(self, best: int, second: int) -> list[int]:  # the hash of each
        last, now, fields = self.last, len(self.bytes), len(self.fields) - 1
        at, column = self.line_above + now - self.line, min(now - self.line, 255)
        above = self.bytes[at] if at < self.line else 0
        has_field = fields < min(len(self.fields_above), 256)
        at = self.fields_above[fields] + now - self.fields[-1] if has_field else 0
        in_field = self.bytes[at] << 8 | self.bytes[at - 1] if 0 < at < self.line else 0
        followers = self.followers.get(hashed(last(3)) >> 48, 0)
        word = self.words[0] or 1 + last(1)
        indents = (self.indent << 16) + (self.indent_above << 8) + column
        keys = [0, last(1), last(2), last(3), last(4), last(6), word, word * P + self.words[1]]
        keys += [(above << 8) + last(1), (fields << 16) + (self.first << 8) + column]
        keys += [self.shape * P + self.separator, (above << 24) + (self.first << 16) + last(2)]
        keys += [self.item * P + fields, (in_field << 16) + (fields % 256 << 8) + last(1)]
        keys += [word * P + self.words[2], (followers << 8) + last(1), self.first_word * P + word]
        keys += [indents * P + last(1), (best << 16) + (second << 8) + last(1), (best << 8) * P + word]
        return [hashed(key * P + i + 1) for i, key in enumerate(keys)]


class Match:
    """mixer.md, "Two matches"; length 0 is none."""

    def __init__(self, n: int, bits: int) -> None:
        self.n, self.bits, self.position, self.length, self.table = n, bits, 0, 0, dict[int, int]()

    def find(self, text: Text) -> None:
        data, now = text.bytes, len(text.bytes)
        if now < self.n:
            return
        key = hashed((text.last(self.n) << 64 - 8 * self.n) + 1) >> 64 - self.bits
        if self.length and data[self.position] == data[-1]:
            self.position, self.length = self.position + 1, self.length + 1
        else:
            self.position, count = self.table.get(key, 0), 0
            most, shift = min(self.position, 400), now - self.position
            while count < most and data[now - 1 - count] == data[now - 1 - count - shift]:
                count += 1
            self.length = count if count >= self.n else 0
        self.table[key] = now


# mixer.md, "Seven sets of weights": the kind of every byte, and the thresholds that classes count
KINDS = [32 + byte // 8 % 16 if byte > 127 else 48 + byte % 16 for byte in range(256)]
KINDS[ord("a") : ord("z") + 1], KINDS[ord("A") : ord("Z") + 1] = range(26), [26] * 26
KINDS[ord("0") : ord("9") + 1], KINDS[ord(" ")], KINDS[10] = [27] * 10, 28, 29
MATCH_CLASSES = [0, 0, 4, 6, 8, 12, 16, 24, 32, 64, 128, 400]
NODE_MARGINS, BYTE_SHARES = [64, 160, 320, 512, 768, 1024, 1400], [20, 40, 80, 128, 192, 230, 250]
LIMIT = 2**18 - 1  # of weights
LENGTH_CLASSES = [*range(1, 16), *range(16, 32, 4), *range(32, 64, 8), *range(64, 400, 48), 400]


class Mixer:
    """mixer.md, "Slots", "Prediction" and "Learning"."""

    def __init__(self, model: Model, preset: int, size: int) -> None:
        self.tensors = model.tensors
        self.bits = next(b for b in range(10, 19) if 2**b >= 2 * size or b == 18)
        names = ("mixer.weights", "mixer.final_weights")
        weights = [8 * self.tensors[name] for name in names]
        if preset:
            changes = [128 * self.tensors[f"{name}_changes"][preset - 1] for name in names]
            weights = [
                clip(old + change, -LIMIT, LIMIT) for old, change in zip(weights, changes, strict=True)
            ]
        self.weights, self.final_weights = weights
        self.history_map = self.tensors["mixer.history_map"][preset].copy()
        self.match_map = self.tensors["mixer.match_map"][preset].copy()
        self.matches = Match(4, self.bits), Match(8, self.bits)
        self.each = np.arange(len(self.history_map))  # the contexts
        self.slots = np.zeros((len(self.each), 2**self.bits, 16), np.uint8)  # tag, states of nodes 1 to 15
        self.adaptive = np.tile(self.tensors["mixer.squash"][::128], (3 * 256 + 4096, 1))  # both maps

    def begin_byte(self, text: Text, exponentials: Array) -> None:
        best, second = np.argsort(-exponentials, kind="stable")[:2].tolist()
        self.exponentials, self.hashes = exponentials, text.contexts(best, second)
        self.find_slots(self.hashes)
        for match in self.matches:
            match.find(text)
        self.byte_share = bisect(BYTE_SHARES, 256 * exponentials[best] // exponentials.sum())

    def find_slots(self, hashes: list[int]) -> None:  # "Slots"
        self.found = []
        for slots, c in zip(self.slots, hashes, strict=True):
            place, tag = c >> 64 - self.bits, c >> 8 & 255 or 1
            tried = [place, place ^ 1, place ^ 2]
            slot = next((slot for slot in tried if slots[slot, 0] in (tag, 0)), -1)
            if slot < 0:
                slot = tried[np.argmin(slots[tried, 1])]
            if slots[slot, 0] != tag:
                slots[slot] = [tag] + [0] * 15
            self.found.append(slot)
        self.order = int(np.count_nonzero(self.slots[self.each, self.found, 1][1:6]))

    def predict(self, text: Text, node: int, depth: int) -> int:
        if depth == 4:
            self.find_slots([hashed(c + S * node) for c in self.hashes])
        in_nibble = node % 2 ** (depth % 4) + 2 ** (depth % 4)
        self.at = self.each, self.found, in_nibble
        self.states = self.slots[self.at]
        paths = [256 + text.bytes[match.position] if match.length else 0 for match in self.matches]
        bits = [path >> 7 - depth & 1 if path >> 8 - depth == node else None for path in paths]
        # Inputs
        log, stretch = self.tensors["mixer.log"], self.tensors["mixer.stretch"]
        sums = self.exponentials.reshape(2**depth, 2, -1)[node - 2**depth].sum(1).tolist()
        zeros, ones = (k * log[1024] + log[(x << 10 >> k) % 1024] for x in sums for k in [x.bit_length() - 1])
        network = min(max(int(ones - zeros) >> 8, -2047), 2047)
        self.inputs = np.array([network, 256] + [0] * (2 + len(self.each)))
        self.expected = [
            (i, bisect(LENGTH_CLASSES, self.matches[i].length), bit) for i, bit in enumerate(bits)
        ]
        for i, length_class, bit in self.expected:
            if bit is not None:
                s = stretch[self.match_map[i, length_class] >> 20]
                self.inputs[2 + i] = s if bit else -s
        histories = stretch[self.history_map[self.each, self.states] >> 20]
        self.inputs[4:] = np.where(self.states, histories, 0)
        # Rows
        expected = 0 if bits[0] is None else 1 + bits[0]
        match_class = bisect(MATCH_CLASSES, self.matches[0].length) if expected else 0
        node_margin, fields = bisect(NODE_MARGINS, abs(network)), min(len(text.fields) - 1, 11)
        last, kind = text.last(1), KINDS[text.last(2) >> 8]
        self.rows = [node, 256 + 8 * match_class + depth, 360 + 8 * last + depth]
        self.rows += [2408 + (8 * self.order + node_margin) * 8 + depth]
        self.rows += [2792 + (6 * expected + self.order) * 64 + 8 * self.byte_share + node_margin]
        self.rows += [3944 + (8 * fields + min(text.word_size, 7)) * 8 + depth, 4712 + 8 * kind + depth]
        self.final_rows = [8 * match_class + self.byte_share, 104 + last, 360 + node, 616 + 8 * kind + depth]
        # Outputs
        self.outputs = clip((self.weights[self.rows] >> 3) @ self.inputs >> 9, -32767, 32767)
        mixed = np.sum(self.final_weights[self.final_rows] * (self.outputs >> 4)) >> 14
        at = clip([*self.outputs, mixed], -32767, 32767) + 32768
        squash, i, f = self.tensors["mixer.squash"], at >> 4, at & 15
        self.squashed = squash[i] * (16 - f) + squash[i + 1] * f >> 4  # of each set's output, and of mixed
        rows = [256 * expected + node, 768 + (hashed((text.last(2) << 8) + node) >> 52)]
        j, f = at[-1] >> 11, at[-1] & 2047
        a = self.adaptive[rows].sum(0)
        self.entries = rows, j + (f >= 1024)
        r = a[j] * (2048 - f) + a[j + 1] * f >> 11
        return min(max(int(2 * self.squashed[-1] + r) >> 2, 16), 65520)

    def learn(self, t: int, bit: int) -> None:
        e, errors = self.tensors["mixer.learning"].tolist(), 2**16 * bit - self.squashed
        rate = e[0] + e[1] * e[2] // (e[2] + t)
        changes = self.inputs * (errors[:-1, None] * rate >> 8) + 2**15 >> 16
        self.weights[self.rows] = clip(self.weights[self.rows] + changes, -LIMIT, LIMIT)
        final = self.final_weights[self.final_rows]
        final += (self.outputs >> 4) * (errors[-1] * e[3] >> 8) + 2**15 >> 16
        self.final_weights[self.final_rows] = clip(final, -LIMIT, LIMIT)
        self.adaptive[self.entries] += 65535 * bit - self.adaptive[self.entries] >> 6
        for i, length_class, expected in self.expected:
            if expected is not None:
                self.adapt(self.match_map, (i, length_class), int(expected == bit))
        self.adapt(self.history_map, (self.each[self.states > 0], self.states[self.states > 0]), bit)
        self.slots[self.at] = self.tensors["mixer.next"][self.states, bit]

    def adapt(self, entries: Array, at: Any, bit: int) -> None:  # of 22 bits of probability, 10 of count
        probability, count = entries[at] >> 10, entries[at] & 1023
        change = (2**22 * bit - probability) * self.tensors["mixer.rate"][count] >> 16
        entries[at] = (probability + change << 10) + count + (count < 255)


def main() -> None:
    """Decode the file of the command line."""
    parser = argparse.ArgumentParser(description="Decode a .vz, a .vzp or a message.")
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("-D", "--dictionary", type=Path)
    parser.add_argument("--message", action="store_true")
    parser.add_argument("--check", type=int, default=0)
    options = parser.parse_args()
    try:
        dictionary = Dictionary.of_file(options.dictionary.read_bytes()) if options.dictionary else None
        decoder, data = Decoder(Model(options.model.read_bytes()), dictionary), options.file.read_bytes()
        if options.message:
            content = decoder.message(data, options.check)
        else:
            content = decoder.pack(data)[0] if data.startswith(b"\xf5vzp") else decoder.file(data)
    except (DecodeError, OSError) as error:
        sys.exit(f"decoder.py: {error}")
    sys.stdout.buffer.write(content)


if __name__ == "__main__":
    main()
