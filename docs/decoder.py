"""A decoder of all that vaezip writes, made from the documents beside it alone, to be read along with them.

    python docs/decoder.py file|pack|CHECK_BYTES MODEL.vzm FILE.vz|PACK.vzp|MESSAGE [DICTIONARY.vzd] > TEXT

needs numpy, and reads some hundred bytes a second. Names in quotes are sections of the documents. It verifies
checksums and fingerprints, but not the model's self-test, a frame's index, and what else readers refuse.
"""

import copy
import hashlib
import io
import json
import sys
import zlib
from bisect import bisect, bisect_left
from typing import Any  # which mostly stands for arrays, of int64 unless told otherwise

import numpy as np

P, M, S = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F  # network.md, "Hashes"
MASK, WHOLE, LIMIT = 2**64 - 1, 2**24, 2**18 - 1  # of hashes; what a row's frequencies sum to; of weights
KINDS = [32 + byte // 8 % 16 if byte > 127 else 48 + byte % 16 for byte in range(256)]  # mixer.md: of a byte
KINDS[97:123], KINDS[65:91], KINDS[48:58], KINDS[32], KINDS[10] = range(26), [26] * 26, [27] * 10, 28, 29
CLASSES = [97 if k < 26 else {26: 65, 27: 48}.get(k, min(b, 128)) for b, k in enumerate(KINDS)]  # likewise
LENGTHS = [*range(1, 16), *range(16, 32, 4), *range(32, 64, 8), *range(64, 400, 48), 400]  # of matches


def require(condition: bool, otherwise: str = "a checksum does not match") -> None:
    """Refuse the data unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)


def hashed(x: Any) -> Any:
    """Hash an integer, or an array of uint64: network.md, "Hashes"."""
    y = x * M & MASK
    return (y ^ y >> 32) * P & MASK


class Source(io.BytesIO):
    """Bytes, read one part after the other."""

    def number(self) -> int:  # format.md, "Numbers"; bytes below 224 are numbers, too
        [b] = self.read(1)
        rest = int.from_bytes(self.read(0 if b < 224 else 1 if b < 252 else (2, 3, 4, 8)[b - 252]), "little")
        return b if b < 224 else 224 + 256 * (b - 224) + rest if b < 252 else rest

    def check(self, size: int, content: bytes) -> None:  # that the first bytes of its CRC follow
        require(self.read(size) == zlib.crc32(content).to_bytes(4, "little")[:size])


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
        symbol = bisect(np.cumsum(row).tolist(), self.quantile())
        self.drop(sum(row[:symbol]), row[symbol])
        return symbol

    def push(self, row: list[int], symbol: int) -> None:
        c, f = sum(row[:symbol]), row[symbol]
        if self.state >> 40 >= f:
            self.words.append(self.state % 2**32)
            self.state >>= 32
        self.state = (self.state // f << 24) + c + self.state % f


class Range(Stack):
    """format.md, "The range coder", which pops as a stack does."""

    def __init__(self, data: bytes) -> None:
        self.code, self.range, self.rest = int.from_bytes((data + bytes(8))[:8], "big"), MASK, iter(data[8:])

    def quantile(self) -> int:
        return min(WHOLE - 1, self.code // (self.range >> 24))

    def drop(self, c: int, f: int) -> None:
        self.code, self.range = self.code - (self.range >> 24) * c, (self.range >> 24) * f
        while self.range < 2**56:
            self.code, self.range = self.code * 256 + next(self.rest, 0), self.range * 256


class Model(dict[str, Any]):
    """network.md: tensors by name, and what is computed of them and no more."""

    def __init__(self, data: bytes) -> None:  # "The model file"
        self.fingerprint, begin = hashlib.sha256(data).digest(), 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:begin])
        self.sizes = json.loads(header.pop("__metadata__")["architecture"])
        types = {"F32": "<f4", "U32": "<u4", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
        for name, entry in header.items():
            first, end = (begin + offset for offset in entry["data_offsets"])
            tensor = np.frombuffer(data[first:end], types[entry["dtype"]]).reshape(entry["shape"])
            self[name] = tensor.astype(np.float32 if name.endswith((".weight", ".tables")) else np.int64)

    def linear(self, name: str, a: Any) -> Any:  # "Linear"; float32 holds these sums exactly
        product = (a.astype(np.float32) @ self[name + ".weight"].T).astype(np.int64)
        pre, post = self[name + ".shift"]
        return (product >> pre) * self[name + ".multiplier"] + self[name + ".bias"] >> post

    def film(self, y: Any, a: Any, b: Any, norm: str = "decoder.norm") -> Any:  # "Modulation"
        q = int(y @ y) | 1
        e = (q.bit_length() + 1) // 2
        return (((y << 15 >> e) * self[norm][q << 10 >> 2 * e] + 2**12 >> 13) * a + b >> 19).clip(-127, 127)

    def encode(self, content: bytes) -> tuple[Any, Any]:  # "Encoder": means and scales
        if len(content) > 4096:
            content = b"".join(content[k * (len(content) - 64) // 63 :][:64] for k in range(64))
        patch, groups = self.sizes["patch"], len(content) // self.sizes["patch"] ** 2
        rows = self["encoder.byte"][np.frombuffer(content, np.uint8)[: groups * patch**2]]
        first = self.linear("encoder.conv1", rows.reshape(groups * patch, -1)).clip(0, 127)
        s = self.linear("encoder.conv2", first.reshape(groups, -1)).clip(0, 2**14 - 1).sum(0)
        p = self.film(s * (2**20 // groups) >> 12, self["encoder.pool"], 2**18, "encoder.norm").clip(0)
        g = self.linear("encoder.hidden", p).clip(0, 127)
        return self.linear("encoder.mean", g), self.linear("encoder.log_scale", g)


class Mixer:
    """network.md and mixer.md: makes intervals of bytes, after what a block has shown."""

    def __init__(self, model: Model, size: int, z: list[int], preset: int, dictionary: bytes = b"") -> None:
        size = len(dictionary) + max(4096, size) if dictionary else size  # "Dictionaries"
        self.model, self.bits = model, min(max((2 * size - 1).bit_length(), 10), 18)
        width, names = model.sizes["width"], ("start", "scale", "shift")  # "What z sets"
        h, a, b = (model["decoder." + x] + (z @ model["decoder.z_" + x]).reshape(-1, width) for x in names)
        self.hidden = model["decoder.tanh"][(h + 2048).clip(0, 4095)] << 9
        self.sites = np.stack([a.clip(1 - 2**14, 2**14 - 1), b.clip(1 - 2**29, 2**29 - 1)], 1)
        self.h = self.letters = self.first_word = self.shape = self.item = 0  # "What the block has shown"
        self.text, self.words, self.fields, self.matches = bytearray(), [0] * 6, [0], {4: (0, 0), 8: (0, 0)}
        self.fields_above, self.followers, self.ends = {0: 0}, dict[int, int](), dict[Any, int]()
        tensors = ("mixer.weights", "mixer.final_weights")  # "Tensors"
        weights = (8 * model[x] + 128 * [0, *model[x + "_changes"]][preset] for x in tensors)
        self.weights, self.final_weights = (x.clip(-LIMIT, LIMIT) for x in weights)
        matches = np.pad(model["mixer.match_map"][preset], ((0, 0), (0, 256 - 32)))
        self.map = np.vstack([matches, model["mixer.history_map"][preset]])
        self.slots = np.zeros((16, 20 << self.bits), np.uint8)  # tags, and states of nodes 1 to 15
        self.adaptive = np.tile(model["mixer.squash"][::128], (3 * 256 + 4096, 1))  # both maps
        for byte in dictionary:
            self.code(byte=byte)

    def add(self, byte: int) -> None:  # "What the block has shown"
        text, now, kind, key = self.text, len(self.text) + 1, CLASSES[byte], hashed(self.h % 2**24) >> 48
        self.followers[key] = (self.followers.get(key, 0) << 8 | byte) & 0xFFFF
        text.append(byte)
        self.h = (self.h << 8 | byte) & MASK
        if in_word := kind in b"0Aa\x80":
            self.words[0] = (self.words[0] + (byte + 32 if kind == 65 else byte) + 1) * P & MASK
        elif self.letters:
            self.first_word, self.words = self.first_word or self.words[0], [0, *self.words[:5]]
        self.letters = self.letters + 1 if in_word else 0
        self.shape = self.shape if kind == self.shape & 255 else (self.shape << 8 | kind) & MASK
        self.item = (self.item + (byte + 1) * (byte != 32)) * P & MASK if in_word or byte in b"_-. " else 0
        if byte in b',\t|;:="':
            self.fields.append(now)  # where fields begin, the first with the line
        elif byte == 10:
            self.fields_above, self.fields, self.first_word = dict(enumerate(self.fields[:256])), [now], 0
        for n, (at, length) in self.matches.items():  # "Two matches": where they go on, how long they are
            key = hashed((self.h << 64 - 8 * n) + 1) >> 64 - self.bits
            at = at + 1 if length and text[at] == byte else self.ends.get((n, key), 0)
            length = next((k for k in range(min(at, 400)) if text[at - 1 - k] != text[-1 - k]), min(at, 400))
            self.matches[n], self.ends[n, key] = (at, length if length >= n else 0), now

    def network(self) -> Any:  # "Decoder": 1 + exp(logit) of each byte
        model, last, rows, begin = self.model, self.h % 256, list[int](), 0
        keys = [self.h % 256**n for n in model.sizes["orders"]]  # "Features"
        u, words = (0, self.words) if self.letters else (1 + last, self.words[1:])
        keys += [u := u * S + v & MASK for v in words[: model.sizes["word_contexts"]]]
        for k, (key, bits) in enumerate(zip(keys, model.sizes["table_bits"], strict=True), 1):
            c = hashed(key + k * S)
            slot, tag = begin + (c >> 64 - bits), c >> 56 - bits & 255 or 1
            rows.append(slot if model["decoder.tags"][slot] == tag else begin + tag)
            begin += 2**bits
        linear, film, sites = model.linear, model.film, iter(self.sites)
        y = model["decoder.byte"][last] + linear("decoder.features", model["decoder.tables"][rows].ravel())
        for i, h in enumerate(self.hidden):  # which changes with h
            layer = f"decoder.layers.{i}."
            f, c, o = (linear(layer + "gates", film(y, *next(sites))) + 2048).clip(0, 4095).reshape(3, -1)
            h += ((model["decoder.tanh"][c] << 9) - h) * (2**15 - model["decoder.sigmoid"][f]) + 2**14 >> 15
            a = (model["decoder.sigmoid"][o] * (h >> 9) >> 15) * model[layer + "out_scale"] + 2**19 >> 20
            y = y + linear(layer + "out", a.clip(-127, 127))
            y = y + linear(layer + "down", linear(layer + "up", film(y, *next(sites))).clip(0, 127))
        logits = linear("decoder.head", film(y, *next(sites)))
        return 1 + model["decoder.exp"][np.minimum(logits.max() - logits, 1087)]

    def contexts(self, best: int, second: int) -> Any:  # "What the block has shown": their hashes
        h_1, h_2, h_3, h_4, h_6 = (self.h % 256**k for k in (1, 2, 3, 4, 6))
        line, line_above = self.text[self.fields[0] :], self.text[self.fields_above[0] : self.fields[0]]
        first, above = (line or b"\0")[0], (line_above[len(line) :] or b"\0")[0]
        (w, v, u), fields = self.words[:3], len(self.fields) - 1
        column, word, followers = min(len(line), 255), w or 1 + h_1, self.followers.get(hashed(h_3) >> 48, 0)
        separator = self.text[self.fields[-1] - 1] if fields else 0
        at = self.fields_above.get(fields, self.fields[0]) + len(self.text) - self.fields[-1]
        in_field = self.text[at] << 8 | self.text[at - 1] if 0 < at < self.fields[0] else 0
        indent, indent_above = (len(x) - len(x.lstrip(b" \t")) for x in (line, line_above))
        keys = [0, h_1, h_2, h_3, h_4, h_6, word, word * P + v, (above << 8) + h_1]
        keys += [(fields << 16) + (first << 8) + column, self.shape * P + separator]
        keys += [(above << 24) + (first << 16) + h_2, self.item * P + fields]
        keys += [(in_field << 16) + (fields % 256 << 8) + h_1, word * P + u, (followers << 8) + h_1]
        keys += [self.first_word * P + word, ((indent << 16) + (indent_above << 8) + column) * P + h_1]
        keys += [(best << 16) + (second << 8) + h_1, (best << 8) * P + word]
        return np.array([hashed(key * P + i) for i, key in enumerate(keys, 1)], np.uint64)

    def code(self, coder: Stack | None = None, byte: int = 0) -> tuple[int, int, int]:  # pop or read a byte
        log, squash, (e_0, e_1, e_2, e_3) = (self.model["mixer." + x] for x in ("log", "squash", "learning"))
        exponentials, h_1, h_2 = self.network(), self.h % 2**8, self.h % 2**16
        sums = np.concatenate([[1], *(exponentials.reshape(2**d, -1).sum(1) for d in range(9))])  # by node
        k = np.frexp(sums)[1] - 1
        ln = k * log[1024] + log[(sums << 10 >> k) % 1024]
        best, second = np.argsort(-exponentials, kind="stable")[:2].tolist()
        share = bisect([20, 40, 80, 128, 192, 230, 250], 256 * exponentials[best] // sums[1])
        hashes, kind, fields = self.contexts(best, second), KINDS[h_2 >> 8], len(self.fields) - 1
        matches = [(256 + self.text[at] if n else 0, n) for at, n in self.matches.values()]  # paths, lengths
        begin, width, node, rate = 1, WHOLE - 2, 1, e_0 + e_1 * e_2 // (e_2 + len(self.text))
        for depth in range(8):
            if depth % 4 == 0:  # "Slots"
                c = hashed(hashes + (S * node & MASK)) if depth else hashes
                tried = np.arange(20) << self.bits ^ (c >> 64 - self.bits).astype(int) ^ [[0], [1], [2]]
                tag, (tags, states) = (c >> 8 & 255).clip(1), self.slots[:2, tried].astype(int)
                found = tried[np.where((tags == tag) | (tags == 0), -1, states).argmin(0), np.arange(20)]
                self.slots[:, found] *= self.slots[0, found] == tag  # one with another tag is emptied
                self.slots[0, found] = tag
                order = int(np.count_nonzero(self.slots[1, found[1:6]]))
            slot = node % 2 ** (depth % 4) + 2 ** (depth % 4), found  # "Inputs"
            lengths = [bisect(LENGTHS, n) if path >> 8 - depth == node else 0 for path, n in matches]
            votes = np.array([path >> 7 - depth & 1 for path, _ in matches] + [1] * 20)  # for ones, zeros
            entries = np.arange(22), np.array(lengths + self.slots[slot].tolist())
            known = self.map[entries]  # probabilities of 22 bits, and counts of 10
            s = self.model["mixer.stretch"][known >> 20] * (entries[1] > 0)
            network = min(max(int(ln[2 * node + 1] - ln[2 * node]) >> 8, -2047), 2047)
            inputs = np.array([network, 256, *np.where(votes, s, -s).tolist()])
            expected = 1 + int(votes[0]) if lengths[0] else 0  # "Seven sets of weights"
            match = 2 + bisect([4, 6, 8, 12, 16, 24, 32, 64, 128, 400], matches[0][1]) if expected else 0
            margin = bisect([64, 160, 320, 512, 768, 1024, 1400], abs(network))
            rows = [node, 256 + 8 * match + depth, 360 + 8 * h_1 + depth]
            rows += [2408 + (8 * order + margin) * 8 + depth]
            rows += [2792 + (6 * expected + order) * 64 + 8 * share + margin]
            rows += [3944 + (8 * min(fields, 11) + min(self.letters, 7)) * 8 + depth, 4712 + 8 * kind + depth]
            final_rows = [8 * match + share, 104 + h_1, 360 + node, 616 + 8 * kind + depth]
            outputs = ((self.weights[rows] >> 3) @ inputs >> 9).clip(-32767, 32767)
            mixed = self.final_weights[final_rows].sum(0) @ (outputs >> 4) >> 14
            at = np.array([*outputs.tolist(), mixed]).clip(-32767, 32767) + 32768  # of all sets, and mixed
            squashed = squash[at >> 4] * (16 - at % 16) + squash[(at >> 4) + 1] * (at % 16) >> 4
            maps = [256 * expected + node, 768 + (hashed((h_2 << 8) + node) >> 52)]  # "Two adaptive …"
            j, f = divmod(int(at[-1]), 2048)
            a, b = self.adaptive[maps, j : j + 2].sum(0)
            p = min(max(int(2 * squashed[-1] + (a * (2048 - f) + b * f >> 11) >> 2), 16), 65520)
            ones = min(max(width * p >> 16, 128 >> depth), width - (128 >> depth))  # "Bytes as intervals"
            bit = int(coder.quantile() >= begin + width - ones) if coder else byte >> 7 - depth & 1
            begin, width, node = begin + bit * (width - ones), ones if bit else width - ones, 2 * node + bit
            errors, nearest = 2**16 * bit - squashed, j + (f >= 1024)  # "Learning"
            changes = inputs * (errors[:-1, None] * rate >> 8) + 2**15 >> 16
            self.weights[rows] = (self.weights[rows] + changes).clip(-LIMIT, LIMIT)
            changes = (outputs >> 4) * (errors[-1] * e_3 >> 8) + 2**15 >> 16
            self.final_weights[final_rows] = (self.final_weights[final_rows] + changes).clip(-LIMIT, LIMIT)
            self.adaptive[maps, nearest] += 65535 * bit - self.adaptive[maps, nearest] >> 6
            steps = (2**22 * (votes == bit) - (known >> 10)) * self.model["mixer.rate"][known % 1024] >> 16
            self.map[entries] += (steps << 10) + (known % 1024 < 255)  # what state 0 learns is never read
            self.slots[slot] = self.model["mixer.next"][self.slots[slot], bit]
        require(not coder or coder.pop([begin, width, WHOLE - begin - width]) == 1, "no byte is coded so")
        self.add(node - 256)
        return node - 256, begin, width  # the byte, where its interval begins, and how wide it is


class Decoder:
    """format.md: decodes files, messages and packs, with a model, and a dictionary if they need one."""

    def __init__(self, model: Model, file: bytes | None = None, dictionary: bytes = b"\n\xc8\n") -> None:
        if file is not None:  # "Dictionaries": terminator, share and text
            require(file[:5] == b"\xf5vzd\1" and zlib.crc32(file[:-4]) == int.from_bytes(file[-4:], "little"))
            dictionary = file[5:7] + zlib.decompress(file[7:-4])
        self.model, self.fingerprint = model, hashlib.sha256(dictionary).digest()
        self.terminator, self.share, self.dictionary = dictionary[:1], dictionary[1], dictionary[2:]
        self.begun = Mixer(model, 0, [0] * model.sizes["latents"], 0, self.dictionary)

    def mixer(self) -> Mixer:  # that has read the dictionary
        return copy.deepcopy(self.begun, {id(self.model): self.model})

    def file(self, data: bytes) -> bytes:  # "Frames"
        source, content = Source(data), b""
        while not data or source.tell() < len(data):
            begin, [magic] = source.tell(), source.read(1)
            if magic == 0xF5 and source.read(3) == b"vzx":  # "Skippable frames"
                source.read(source.number())
                require(source.tell() - begin == int.from_bytes(source.read(4), "little"))
                continue
            descriptor = 32 + magic % 16 if magic >= 0xF8 else source.number()
            layout, named = descriptor >> 2 & 3, magic == 0xF7
            size, second = source.number(), 0 if layout == 1 else source.number()
            n = 1 if layout and size <= 16384 else 8
            needed = self.model.fingerprint[:n] + self.fingerprint[: n * named]
            fits = source.read(len(needed)) == needed and magic >= 0xF6 and descriptor >> 4 == 2
            source.check(1 if layout else 4, data[begin : source.tell()])
            require(fits, "another version, model or dictionary is needed")
            payloads = []
            for kind in [descriptor & 15] if layout else iter(source.number, 0):  # up to the end mark
                if not layout:
                    size, second = source.number(), 0 if kind >> 2 == 1 else source.number()
                difference = second // 2 if second % 2 == 0 else -(second + 1) // 2
                payloads.append(source.read(size if kind >> 2 == 1 else size // 5 + difference))
                content += self.block(source, kind, size, payloads[-1], named)
            if not layout:
                _ = [source.number() for _ in range(2 + 2 * len(payloads))]  # the index
                source.check(4, b"".join(payloads))
                source.read(8)  # check and length of the index
        return content

    def block(self, source: Source, kind: int, size: int, payload: bytes, named: bool) -> bytes:
        if kind >> 2 == 1:  # "Blocks"
            source.check(4, payload)
            return payload
        stack, prior = Stack(payload), self.model["latent.prior"].tolist()  # 1
        z = [stack.pop(row) - len(row) // 2 if kind >> 2 == 2 else 0 for row in prior]  # 2
        mixer = Mixer(self.model, size, z, kind & 3, self.dictionary if named else b"")
        content = bytes(mixer.code(stack)[0] for _ in range(size))  # 3
        if kind >> 2 == 2:  # 4: network.md, "Posterior"
            table, (means, scales) = self.model["latent.posterior"], self.model.encode(content)
            radius, limit = table.shape[2] // 2, 4 * (len(prior[0]) - table.shape[2])
            r, phase = np.divmod(means.clip(-limit, limit) + 4, 8)
            rows = table[scales.clip(0, len(table) - 1), phase].tolist()
            for j in reversed(range(len(z))):
                order = sorted(range(-radius, radius + 1), key=lambda k: abs(8 * k - phase[j] + 4))
                stack.push(rows[j], order.index(z[j] - r[j]))
        require(not stack.words and stack.state == zlib.crc32(content) % 256 ** (3 + (size > 1024)))  # 5
        return content

    def message(self, data: bytes, check: int = 0) -> bytes:  # "Messages"; check is c
        coder = Range(data) if data and data[0] < 255 else None
        text = self.text(coder, self.mixer()) if coder else data[1 : len(data) - check]
        found = bytes(coder.pop([2**16] * 256) for _ in range(check)) if coder else data[len(data) - check :]
        require(int.from_bytes(found, "little") == zlib.crc32(text) % 256**check)
        return text

    def text(self, coder: Stack, mixer: Mixer) -> bytes:  # "Messages", 1 to 3
        text, size, terminator = bytearray(), 0, self.terminator
        end = coder.pop([self.share << 16, 4 << 16, 251 - self.share << 16, 1 << 16])  # 1
        require(end < 3, "no text begins so")
        if end == 2:  # 2
            weights = [1, 1, 2, 4, 8, 12, 12, 8, 4, 3, 2, 2, 1, 1, 1, 1, 1]
            for each in self.dictionary[:-1].split(terminator):
                weights[min(max(len(each), 1), 2**16).bit_length() - 1] += 20
            row = [1 + (w * ((WHOLE - 17) * 2**28 // sum(weights)) >> 28) for w in weights]
            row[weights.index(max(weights))] += WHOLE - sum(row)
            size = 2 ** (b := coder.pop(row)) + coder.pop([WHOLE >> b] * 2**b)
        while len(text) < size or (end != 2 and text[-1:] != terminator):  # 3
            text.append(mixer.code(coder)[0])
        if text[-1:] != terminator:  # for the next text of a pack
            mixer.code(byte=terminator[0])
        return bytes(text if end else text[:-1])

    def pack(self, data: bytes) -> bytes:  # "Packs"
        source, records, n = Source(data), list[list[bytes]](), 1
        require(source.read(5) == b"\xf5vzp\1", "this is no pack")
        (flags, separator), model, k, own = source.read(2), source.read(8), source.number(), source.read(2)
        carried, needed, unordered = source.read(source.number()), source.read(source.number()), flags & 2
        source.check(4, data[: source.tell()])
        fits = flags < 8 and self.model.fingerprint[:8] == model and self.fingerprint.startswith(needed)
        require(fits, "another version, model or dictionary is needed")
        decoder = self if needed else Decoder(self.model)
        decoder = Decoder(self.model, dictionary=own + decoder.file(carried)) if carried else decoder
        heads = data[source.tell() - 4 : source.tell()]  # all that the end mark's check is of
        while n:  # but for the end mark, which has no records
            begin, n, size = source.tell(), source.number(), source.number()
            checks, held = Source(source.read(8 if n else 4) + bytes(4)), n % (2**20 + 1)  # records
            source.check(1, data[begin : source.tell()])
            body, found = Source(source.read(size) if n else heads), list[list[bytes]]()
            checks.check(4, body.getvalue())
            heads += data[begin : source.tell() - size]
            sizes = [] if unordered else [body.number() for _ in range(0, held, k)]
            coders: list[Stack] = [Range(body.read(size)) for size in sizes] or [Stack(body.read())] * held
            for coder in coders:
                mixer, count = decoder.mixer(), 1 if unordered else min(k, held - len(found))
                found += [[decoder.text(coder, mixer) for _ in range(1 + flags % 2)] for _ in range(count)]
                if unordered:
                    found, record = sorted(found), found[-1]
                    c, end = (WHOLE * place(found, record) // len(found) for place in (bisect_left, bisect))
                    coder.push([c, end - c, WHOLE - end], 1)
            checks.check(4, b"".join(text + decoder.terminator for record in found for text in record))
            records += found
        require(size == len(records) and source.tell() == len(data), "records are missing, or more follows")
        written = b"".join(text + bytes([separator]) for record in records for text in record)
        return written[:-1] if flags & 4 else written


if __name__ == "__main__":
    how, (model, data, *dictionary) = sys.argv[1], (np.fromfile(x, np.uint8).tobytes() for x in sys.argv[2:])
    decoder = Decoder(Model(model), *dictionary)
    read = {"file": decoder.file, "pack": decoder.pack}.get(how)
    sys.stdout.buffer.write(read(data) if read else decoder.message(data, int(how)))
