"""A decoder of all that vaezip writes, made from the documents beside it alone, to be read along with them.

    python docs/decoder.py file MODEL.vzm FILE.vz [DICTIONARY.vzd] > text
    python docs/decoder.py pack MODEL.vzm PACK.vzp [DICTIONARY.vzd] > records  # of files: names, contents
    python docs/decoder.py CHECK_BYTES MODEL.vzm MESSAGE [DICTIONARY.vzd] > text

It needs numpy and no part of vaezip, and reads some hundred bytes a second. Sections in quotes are those of
format.md, network.md and mixer.md. It verifies checksums, fingerprints and the model's self-test; what else
readers refuse, so that no data can do harm or be written in two ways, is left out.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import sys
import zlib
from bisect import bisect, bisect_left
from typing import Any

import numpy as np

Array = Any  # a numpy array, of int64 unless told otherwise
P, M, S = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F  # network.md, "Hashes"
MASK, WHOLE, LIMIT = 2**64 - 1, 2**24, 2**18 - 1  # of hashes; what a row's frequencies sum to; of weights
# mixer.md: the kind and the class of every byte, and the thresholds of a match's length class
KINDS = [32 + byte // 8 % 16 if byte > 127 else 48 + byte % 16 for byte in range(256)]
KINDS[97:123], KINDS[65:91], KINDS[48:58], KINDS[32], KINDS[10] = range(26), [26] * 26, [27] * 10, 28, 29
CLASSES = [97 if k < 26 else {26: 65, 27: 48}.get(k, min(b, 128)) for b, k in enumerate(KINDS)]
LENGTHS = [*range(1, 16), *range(16, 32, 4), *range(32, 64, 8), *range(64, 400, 48), 400]


def require(condition: bool, otherwise: str = "a checksum does not match") -> None:
    """Refuse the data unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)


def clip(x: Array, a: int, b: int) -> Array:
    """Limit x to [a, b]; as np.clip, but faster on small arrays."""
    return np.minimum(np.maximum(x, a), b)


def hashed(x: Any) -> Any:
    """Hash an integer, or an array of uint64: network.md, "Hashes"."""
    y = x * M & MASK
    return (y ^ y >> 32) * P & MASK


class Source(io.BytesIO):
    """Bytes, read one part after the other."""

    def number(self) -> int:  # format.md, "Numbers"; bytes below 224 are numbers, too
        [first] = self.read(1)
        rest = self.read(0 if first < 224 else 1 if first < 252 else (2, 3, 4, 8)[first - 252])
        base = first if first < 224 else 224 + 256 * (first - 224) if first < 252 else 0
        return base + int.from_bytes(rest, "little")

    def check(self, size: int, begin: int = 0) -> None:  # of all from begin to here
        found = zlib.crc32(self.getvalue()[begin : self.tell()]) % 256**size
        require(int.from_bytes(self.read(size), "little") == found)


class Stack:
    """format.md, "The ANS stack"."""

    def __init__(self, payload: bytes) -> None:
        self.words, self.state = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").tolist(), 0
        self.drop(0, WHOLE)  # which only shifts words in

    def quantile(self) -> int:
        return int(self.state % WHOLE)

    def drop(self, c: int, f: int) -> None:
        self.state = (self.state >> 24) * f + self.quantile() - c
        while self.words and self.state < 2**32:
            self.state = self.state << 32 | self.words.pop()

    def pop(self, row: list[int]) -> int:
        ends = np.cumsum(row).tolist()
        symbol = bisect(ends, self.quantile())
        self.drop(ends[symbol] - row[symbol], row[symbol])
        return symbol

    def push(self, c: int, f: int) -> None:
        if self.state >> 40 >= f:
            self.words.append(self.state % 2**32)
            self.state >>= 32
        self.state = (self.state // f << 24) + c + self.state % f


class Range(Stack):
    """format.md, "The range coder", which pops as a stack does."""

    def __init__(self, data: bytes) -> None:
        self.code, self.range = int.from_bytes(data[:8].ljust(8, b"\0"), "big"), MASK
        self.rest = iter(data[8:])

    def quantile(self) -> int:
        return min(WHOLE - 1, self.code // (self.range >> 24))

    def drop(self, c: int, f: int) -> None:
        self.code, self.range = self.code - (self.range >> 24) * c, (self.range >> 24) * f
        while self.range < 2**56:
            self.code, self.range = self.code * 256 + next(self.rest, 0), self.range * 256


class Model(dict[str, Array]):
    """network.md: tensors by name, and the network."""

    def __init__(self, data: bytes) -> None:  # "The model file"
        self.fingerprint, begin = hashlib.sha256(data).digest(), 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:begin])
        self.sizes = json.loads(header.pop("__metadata__")["architecture"])
        types = {"F32": "<f4", "U32": "<u4", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
        for name, entry in header.items():
            first, end = (begin + offset for offset in entry["data_offsets"])
            self[name] = np.frombuffer(data[first:end], types[entry["dtype"]]).reshape(entry["shape"])
            if name not in ("decoder.tables", "decoder.tags"):  # which are large
                self[name] = self[name].astype("f4" if name.endswith(".weight") else "i8")
        text = self["self_test.text"].tolist()
        mixer = Mixer(self, [1] * self.sizes["latents"], 3, len(text))
        values = [value for byte in text for value in mixer.code(byte=byte)[1:]]
        found = np.array([*values, *np.ravel(self.encode(bytes(text)))], "<i4").tobytes()
        require(zlib.crc32(found) == self["self_test.value"][0], "the model's self-test fails")

    def linear(self, name: str, a: Array) -> Array:  # "Linear"; float32 holds these sums exactly
        product = (a.astype(np.float32) @ self[name + ".weight"].T).astype(np.int64)
        pre, post = self[name + ".shift"]
        return (product >> pre) * self[name + ".multiplier"] + self[name + ".bias"] >> post

    def film(self, y: Array, a: Array, b: Array | int, norm: str = "decoder.norm") -> Array:  # "Modulation"
        q = int(y @ y) | 1
        e = (q.bit_length() + 1) // 2
        x = y << 15 - e if e <= 15 else y >> e - 15
        return clip((x * self[norm][q << 10 >> 2 * e] + 2**12 >> 13) * a + b >> 19, -127, 127)

    def begin(self, z: list[int]) -> tuple[Array, Array]:  # "What z sets": h, and A and B of each site
        width, names = self.sizes["width"], ("start", "scale", "shift")
        h, a, b = (self["decoder." + x] + (z @ self["decoder.z_" + x]).reshape(-1, width) for x in names)
        modulations = np.stack([clip(a, 1 - 2**14, 2**14 - 1), clip(b, 1 - 2**29, 2**29 - 1)], 1)
        return self["decoder.tanh"][clip(h + 2048, 0, 4095)] << 9, modulations

    def decode(self, text: Text, hs: Array, modulations: Array) -> Array:  # "Decoder": 1 + exp(logit)
        keys, rows, begin = [text.last(n) for n in self.sizes["orders"]], [], 0  # "Features"
        u, words = (0, text.words) if text.letters else (1 + text.last(1), text.words[1:])
        keys += [u := u * S + v & MASK for v in words[: self.sizes["word_contexts"]]]
        for k, (key, bits) in enumerate(zip(keys, self.sizes["table_bits"], strict=True), 1):
            c = hashed(key + k * S)
            slot, tag = begin + (c >> 64 - bits), c >> 56 - bits & 255 or 1
            rows.append(slot if self["decoder.tags"][slot] == tag else begin + tag)
            begin += 2**bits
        features = self.linear("decoder.features", self["decoder.tables"][rows].ravel())
        y = self["decoder.byte"][text.last(1)] + features
        for i, h in enumerate(hs):
            layer = f"decoder.layers.{i}."
            u = self.linear(layer + "gates", self.film(y, *modulations[2 * i])) + 2048
            f, c, o = clip(u, 0, 4095).reshape(3, -1)
            f, c, o = self["decoder.sigmoid"][f], self["decoder.tanh"][c], self["decoder.sigmoid"][o]
            h += ((c << 9) - h) * (2**15 - f) + 2**14 >> 15
            a = (o * (h >> 9) >> 15) * self[layer + "out_scale"] + 2**19 >> 20
            y = y + self.linear(layer + "out", clip(a, -127, 127))
            up = self.linear(layer + "up", self.film(y, *modulations[2 * i + 1]))
            y = y + self.linear(layer + "down", clip(up, 0, 127))
        logits = self.linear("decoder.head", self.film(y, *modulations[-1]))
        return 1 + self["decoder.exp"][np.minimum(logits.max() - logits, 1087)]

    def encode(self, content: bytes) -> tuple[Array, Array]:  # "Encoder": means and scales
        if len(content) > 4096:
            content = b"".join(content[k * (len(content) - 64) // 63 :][:64] for k in range(64))
        patch, groups = self.sizes["patch"], len(content) // self.sizes["patch"] ** 2
        rows = self["encoder.byte"][np.frombuffer(content, np.uint8)[: groups * patch**2]]
        first = clip(self.linear("encoder.conv1", rows.reshape(groups * patch, -1)), 0, 127)
        second = clip(self.linear("encoder.conv2", first.reshape(groups, -1)), 0, 2**14 - 1)
        m = second.sum(0) * (2**20 // groups) >> 12
        p = self.film(m, self["encoder.pool"], 2**18, "encoder.norm")
        g = clip(self.linear("encoder.hidden", np.maximum(p, 0)), 0, 127)
        return self.linear("encoder.mean", g), self.linear("encoder.log_scale", g)


class Text:
    """The bytes so far, and what contexts are made of: mixer.md, "What the block has shown"."""

    def __init__(self, bits: int) -> None:
        self.bits, self.bytes, self.words, self.letters = bits, bytearray(), [0] * 6, 0  # words: w, v, u …
        self.first_word = self.shape = self.item = self.line_above = self.line = 0
        self.fields_above, self.fields, self.matches = list[int](), [0], {4: (0, 0), 8: (0, 0)}
        self.followers, self.ends = dict[int, int](), dict[tuple[int, int], int]()

    def last(self, k: int) -> int:  # h_k
        return int.from_bytes(self.bytes[-k:], "big")

    def add(self, byte: int) -> None:
        data, now, kind, key = self.bytes, len(self.bytes) + 1, CLASSES[byte], hashed(self.last(3)) >> 48
        self.followers[key] = (self.followers.get(key, 0) << 8 | byte) & 0xFFFF
        data.append(byte)
        if in_word := kind in b"0Aa\x80":
            self.words[0] = (self.words[0] + (byte + 32 if kind == 65 else byte) + 1) * P & MASK
        elif self.letters:
            self.first_word, self.words = self.first_word or self.words[0], [0, *self.words[:5]]
        self.letters = self.letters + 1 if in_word else 0
        self.shape = self.shape if kind == self.shape & 255 else (self.shape << 8 | kind) & MASK
        item = (self.item if byte == 32 else self.item + byte + 1) * P & MASK
        self.item = item if in_word or byte in b"_-. " else 0
        if byte in b',\t|;:="':
            self.fields.append(now)
        elif byte == 10:
            self.line_above, self.line, self.first_word = self.line, now, 0
            self.fields_above, self.fields = self.fields[:256], [now]
        for n, (at, length) in self.matches.items():  # "Two matches": where they go on, their lengths
            key = hashed((self.last(n) << 64 - 8 * n) + 1) >> 64 - self.bits
            goes_on = length > 0 and data[at] == byte
            at, length = (at + 1, length + 1) if goes_on else (self.ends.get((n, key), 0), 0)
            while not goes_on and length < min(at, 400) and data[at - 1 - length] == data[now - 1 - length]:
                length += 1
            self.matches[n], self.ends[n, key] = (at, length if length >= n else 0), now

    def contexts(self, best: int, second: int) -> Array:  # the hash of each
        h_1, h_2, h_3, h_4, h_6 = map(self.last, (1, 2, 3, 4, 6))
        line, fields, word = self.bytes[self.line :], len(self.fields) - 1, self.words[0] or 1 + h_1
        line_above, column = self.bytes[self.line_above : self.line], min(len(line), 255)
        first, above = (line or b"\0")[0], (line_above[len(line) :] or b"\0")[0]
        separator = self.bytes[self.fields[-1] - 1] if fields else 0
        indent, indent_above = (len(x) - len(x.lstrip(b" \t")) for x in (line, line_above))
        at = self.fields_above[fields] if fields < len(self.fields_above) else self.line
        at += len(self.bytes) - self.fields[-1]
        in_field = self.bytes[at] << 8 | self.bytes[at - 1] if 0 < at < self.line else 0
        keys = [0, h_1, h_2, h_3, h_4, h_6, word, word * P + self.words[1], (above << 8) + h_1]
        keys += [(fields << 16) + (first << 8) + column, self.shape * P + separator]
        keys += [(above << 24) + (first << 16) + h_2, self.item * P + fields]
        keys += [(in_field << 16) + (fields % 256 << 8) + h_1, word * P + self.words[2]]
        keys += [(self.followers.get(hashed(h_3) >> 48, 0) << 8) + h_1, self.first_word * P + word]
        keys += [((indent << 16) + (indent_above << 8) + column) * P + h_1]
        keys += [(best << 16) + (second << 8) + h_1, (best << 8) * P + word]
        return np.array([hashed(key * P + i) for i, key in enumerate(keys, 1)], np.uint64)


class Mixer:
    """mixer.md: network and mixer, and what they have read."""

    def __init__(self, model: Model, z: list[int], preset: int, size: int) -> None:
        self.bits = min(max((2 * size - 1).bit_length(), 10), 18)
        self.model, self.state, self.text = model, model.begin(z), Text(self.bits)
        self.weights, self.final = (
            clip(8 * model[name] + 128 * [0, *model[name + "_changes"]][preset], -LIMIT, LIMIT)
            for name in ("mixer.weights", "mixer.final_weights")
        )
        matches, histories = model["mixer.match_map"][preset], model["mixer.history_map"][preset]
        self.map = np.concatenate([np.pad(matches, ((0, 0), (0, 256 - 32))), histories])
        self.slots = np.zeros((len(histories), 2**self.bits, 16), np.uint8)  # tag, states of nodes 1 to 15
        self.adaptive = np.tile(model["mixer.squash"][::128], (3 * 256 + 4096, 1))  # both maps

    def code(self, coder: Stack | None = None, byte: int = 0) -> tuple[int, int, int]:
        """Pop a byte, or read this one; also return where its interval begins, and its width."""
        model, text, slots, weights, final = self.model, self.text, self.slots, self.weights, self.final
        log, squash, (e_0, e_1, e_2, e_3) = (model["mixer." + x] for x in ("log", "squash", "learning"))
        exponentials, contexts, inputs_at = model.decode(text, *self.state), np.arange(20), np.arange(22)
        best, second = np.argsort(-exponentials, kind="stable")[:2].tolist()
        share = bisect([20, 40, 80, 128, 192, 230, 250], 256 * exponentials[best] // exponentials.sum())
        hashes, h_1, h_2 = text.contexts(best, second), text.last(1), text.last(2)
        field, kind = 8 * min(len(text.fields) - 1, 11) + min(text.letters, 7), KINDS[h_2 >> 8]
        matches = [(256 + text.bytes[at] if n else 0, n) for at, n in text.matches.values()]  # paths, lengths
        begin, width, node, rate = 1, WHOLE - 2, 1, e_0 + e_1 * e_2 // (e_2 + len(text.bytes))
        for depth in range(8):
            if depth % 4 == 0:  # "Slots"
                c = hashed(hashes + (S * node & MASK)) if depth else hashes
                place, tag = c >> 64 - self.bits, np.maximum(c >> 8 & 255, 1)
                tried = np.stack([place, place ^ 1, place ^ 2])
                tags, firsts = (slots[contexts, tried, i].astype(int) for i in (0, 1))
                choice = np.where((tags == tag) | (tags == 0), -1, firsts).argmin(0), contexts
                found, new = tried[choice], tags[choice] != tag
                slots[contexts[new], found[new]] = 0
                slots[contexts, found, 0] = tag
                order = int(np.count_nonzero(slots[contexts, found, 1][1:6]))
            # "Inputs"
            slot = contexts, found, node % 2 ** (depth % 4) + 2 ** (depth % 4)
            lengths = [bisect(LENGTHS, n) if path >> 8 - depth == node else 0 for path, n in matches]
            states = np.array([*lengths, *slots[slot].tolist()])
            votes = np.array([*(path >> 7 - depth & 1 for path, _ in matches), *[1] * 20])
            learned = self.map[inputs_at, states]
            s = model["mixer.stretch"][learned >> 20] * (states > 0)
            x = exponentials.reshape(2**depth, 2, -1)[node - 2**depth].sum(1)
            k = np.frexp(x)[1] - 1
            ln_b, ln_a = (k * log[1024] + log[(x << 10 >> k) % 1024]).tolist()
            network = min(max(ln_a - ln_b >> 8, -2047), 2047)
            inputs = np.array([network, 256, *np.where(votes, s, -s).tolist()])
            # "Seven sets of weights"
            expected = 1 + int(votes[0]) if lengths[0] else 0
            match = 2 + bisect([4, 6, 8, 12, 16, 24, 32, 64, 128, 400], matches[0][1]) if expected else 0
            margin = bisect([64, 160, 320, 512, 768, 1024, 1400], abs(network))
            rows = [node, 256 + 8 * match + depth, 360 + 8 * h_1 + depth]
            rows += [2408 + (8 * order + margin) * 8 + depth]
            rows += [2792 + (6 * expected + order) * 64 + 8 * share + margin]
            rows += [3944 + 8 * field + depth, 4712 + 8 * kind + depth]
            final_rows = [8 * match + share, 104 + h_1, 360 + node, 616 + 8 * kind + depth]
            outputs = clip((weights[rows] >> 3) @ inputs >> 9, -32767, 32767)
            mixed = int(final[final_rows].sum(0) @ (outputs >> 4)) >> 14
            at = clip(np.array([*outputs.tolist(), mixed]), -32767, 32767) + 32768
            i, f = at >> 4, at & 15
            squashed = squash[i] * (16 - f) + squash[i + 1] * f >> 4  # of each set's output, and of mixed
            # "Two adaptive probability maps"
            j, f = divmod(int(at[-1]), 2048)
            maps = [256 * expected + node, 768 + (hashed((h_2 << 8) + node) >> 52)]
            a, b = self.adaptive[maps, j : j + 2].sum(0).tolist()
            p = min(max(2 * int(squashed[-1]) + (a * (2048 - f) + b * f >> 11) >> 2, 16), 65520)
            # "Bytes as intervals"
            leaves = 2 ** (7 - depth)
            ones = min(max(width * p >> 16, leaves), width - leaves)
            zeros = width - ones
            bit = int(coder.quantile() >= begin + zeros) if coder else byte >> 7 - depth & 1
            begin, width, node = begin + zeros * bit, ones if bit else zeros, 2 * node + bit
            # "Learning"; what state 0 learns is never read
            errors, nearest = 2**16 * bit - squashed, j + (f >= 1024)
            changes = inputs * (errors[:-1, None] * rate >> 8) + 2**15 >> 16
            weights[rows] = clip(weights[rows] + changes, -LIMIT, LIMIT)
            changes = (outputs >> 4) * (errors[-1] * e_3 >> 8) + 2**15 >> 16
            final[final_rows] = clip(final[final_rows] + changes, -LIMIT, LIMIT)
            self.adaptive[maps, nearest] += 65535 * bit - self.adaptive[maps, nearest] >> 6
            probability, count = learned >> 10, learned & 1023
            probability += (2**22 * (votes == bit) - probability) * model["mixer.rate"][count] >> 16
            self.map[inputs_at, states] = (probability << 10) + count + (count < 255)
            slots[slot] = model["mixer.next"][states[2:], bit]
        if coder:
            require(coder.pop([begin, width, WHOLE - begin - width]) == 1, "no byte is coded so")
        text.add(node - 256)
        return node - 256, begin, width


class Decoder:
    """format.md: decodes files, messages and packs, with a model, and a dictionary if they need one."""

    def __init__(self, model: Model, terminator: int = 10, share: int = 200, text: bytes = b"\n") -> None:
        self.model, self.terminator, self.share, self.dictionary = model, terminator, share, text
        self.fingerprint = hashlib.sha256(bytes([terminator, share]) + text).digest()
        self.begun: dict[int, Mixer] = {}

    def mixer(self, n: int = 0) -> Mixer:  # that has read the dictionary: "Dictionaries"
        size = len(self.dictionary) + max(4096, n)
        if size not in self.begun:
            self.begun[size] = Mixer(self.model, [0] * self.model.sizes["latents"], 0, size)
            for byte in self.dictionary:
                self.begun[size].code(byte=byte)
        return copy.deepcopy(self.begun[size], {id(self.model): self.model})

    def fits(self, model: bytes, dictionary: bytes) -> bool:
        return self.model.fingerprint.startswith(model) and self.fingerprint.startswith(dictionary)

    def file(self, data: bytes) -> bytes:  # "Frames"
        source, content = Source(data), b""
        while not data or source.tell() < len(data):
            begin, [magic] = source.tell(), source.read(1)
            if magic == 0xF5 and source.read(3) == b"vzx":  # "Skippable frames"
                source.read(source.number())
                require(int.from_bytes(source.read(4), "little") == source.tell() - 4 - begin)
                continue
            descriptor = 32 + magic % 16 if magic >= 0xF8 else source.number()
            layout, named = descriptor >> 2 & 3, magic == 0xF7
            size, second = source.number(), 0 if layout == 1 else source.number()
            model = source.read(1 if layout and size <= 16384 else 8)
            dictionary = source.read(len(model) if named else 0)
            source.check(1 if layout else 4, begin)
            require(magic >= 0xF6 and descriptor >> 4 == 2, "this is no .vz file, or of a newer version")
            require(self.fits(model, dictionary), "another model or dictionary is needed")
            if layout:
                content += self.block(source, descriptor & 15, size, second, named)
                continue
            payloads = 0  # their CRC
            while kind := source.number():
                size, second = source.number(), 0 if kind >> 2 == 1 else source.number()
                payloads = zlib.crc32(data[source.tell() :][: second or size], payloads)
                content += self.block(source, kind, size, second, named)
            end_mark, _ = source.tell() - 1, source.number()
            for _ in range(2 * source.number()):  # the index, which is for those who seek
                source.number()
            require(int.from_bytes(source.read(4), "little") == payloads)
            source.check(4, end_mark)
            source.read(4)
        return content

    def block(self, source: Source, kind: int, size: int, payload_size: int, named: bool) -> bytes:
        method, begin, prior = kind >> 2, source.tell(), self.model["latent.prior"].tolist()  # "Blocks"
        if method == 1:
            content = source.read(size)
            source.check(4, begin)
            return content
        stack = Stack(source.read(payload_size))  # 1
        z = [stack.pop(row) - len(row) // 2 if method == 2 else 0 for row in prior]  # 2
        mixer = self.mixer(size) if named else Mixer(self.model, z, kind & 3, size)
        content = bytes(mixer.code(stack)[0] for _ in range(size))  # 3
        if method == 2:  # 4: network.md, "Posterior"
            table, (means, scales) = self.model["latent.posterior"], self.model.encode(content)
            radius = table.shape[2] // 2
            limit = 8 * (len(prior[0]) // 2 - radius)
            for j in reversed(range(len(z))):
                r, phase = divmod(min(max(means[j], -limit), limit) + 4, 8)
                order = sorted((abs(8 * k - phase + 4), r + k) for k in range(-radius, radius + 1))
                symbol = [candidate for _, candidate in order].index(z[j])
                row = table[min(max(scales[j], 0), len(table) - 1), phase].tolist()
                stack.push(sum(row[:symbol]), row[symbol])
        checksum = zlib.crc32(content) % 2 ** (24 if size <= 1024 else 32)  # 5
        require(not stack.words and stack.state == checksum)
        return content

    def message(self, data: bytes, check: int = 0) -> bytes:  # "Messages"; check is c
        text, found = data[1 : len(data) - check], data[len(data) - check :]
        if data and data[0] < 255:
            coder = Range(data)
            text = self.text(coder, self.mixer())
            found = bytes(coder.pop([2**16] * 256) for _ in range(check))  # 4
        require(int.from_bytes(found, "little") == zlib.crc32(text) % 256**check)
        return text

    def text(self, coder: Stack, mixer: Mixer) -> bytes:  # "Messages", 1 to 3
        text, size, terminator = bytearray(), 0, self.terminator
        end = coder.pop([self.share << 16, 4 << 16, 251 - self.share << 16, 1 << 16])  # 1
        require(end < 3, "no text begins so")
        if end == 2:  # 2
            weights = [1, 1, 2, 4, 8, 12, 12, 8, 4, 3, 2, 2, 1, 1, 1, 1, 1]
            for each in self.dictionary[:-1].split(bytes([terminator])):
                weights[min(max(len(each), 1), 2**16).bit_length() - 1] += 20
            row = [1 + (w * ((WHOLE - 17) * 2**28 // sum(weights)) >> 28) for w in weights]
            row[weights.index(max(weights))] += WHOLE - sum(row)
            b = coder.pop(row)
            size = 2**b + coder.pop([WHOLE >> b] * 2**b)
        while len(text) < size or (end != 2 and text[-1:] != bytes([terminator])):  # 3
            text.append(mixer.code(coder)[0])
        if text[-1] != terminator:  # for the next text of a pack
            mixer.code(byte=terminator)
        return bytes(text if end else text[:-1])

    def pack(self, data: bytes) -> bytes:  # "Packs"
        source, records = Source(data), list[list[bytes]]()
        require(source.read(5) == b"\xf5vzp\1", "this is no pack")
        (flags, separator), model, k = source.read(2), source.read(8), source.number()
        (terminator, share), carried = source.read(2), source.read(source.number())
        needed, texts, unordered = source.read(source.number()), 1 + flags % 2, flags & 2
        source.check(4)
        require(flags < 8 and self.fits(model, needed), "another version, model or dictionary is needed")
        own = (terminator, share, Decoder(self.model).file(carried)) if carried else ()
        decoder = self if needed else Decoder(self.model, *own)
        n, heads = 1, data[source.tell() - 4 : source.tell()]
        while n:  # but for the end mark, which has no records
            begin, n, size, check = source.tell(), source.number(), source.number(), source.read(4)
            content_check = source.read(4 if n else 0)
            source.check(1, begin)
            body, found = Source(source.read(size) if n else heads), list[list[bytes]]()
            require(zlib.crc32(body.getvalue()) == int.from_bytes(check, "little"))
            heads += data[begin : source.tell() - size]
            if n > 2**20:  # to be passed over
                continue
            sizes = [] if unordered else [body.number() for _ in range(0, n, k)]
            coders: list[Stack] = [Range(body.read(size)) for size in sizes] or [Stack(body.read())] * n
            for coder in coders:
                mixer, count = decoder.mixer(), 1 if unordered else min(k, n - len(found))
                found += [[decoder.text(coder, mixer) for _ in range(texts)] for _ in range(count)]
                if unordered:
                    found, record = sorted(found), found[-1]
                    c, end = (WHOLE * place(found, record) // len(found) for place in (bisect_left, bisect))
                    coder.push(c, end - c)
            content = b"".join(text + bytes([decoder.terminator]) for record in found for text in record)
            require(zlib.crc32(content) == int.from_bytes(content_check, "little"))
            records += found
        require(size == len(records) and source.tell() == len(data), "records are missing, or more follows")
        written = b"".join(text + bytes([separator]) for record in records for text in record)
        return written[:-1] if flags & 4 else written


def dictionary_of(data: bytes) -> tuple[int, int, bytes]:
    """format.md, "Dictionaries": terminator, share and text of a .vzd."""
    require(data[:5] == b"\xf5vzd\1" and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"))
    return data[5], data[6], zlib.decompress(data[7:-4])


if __name__ == "__main__":
    how, *paths = sys.argv[1:]
    model, data, *dictionary = (np.fromfile(path, np.uint8).tobytes() for path in paths)
    decoder = Decoder(Model(model), *(dictionary_of(*dictionary) if dictionary else ()))
    read = {"file": decoder.file, "pack": decoder.pack}.get(how)
    sys.stdout.buffer.write(read(data) if read else decoder.message(data, int(how)))
