"""The mixer: predictions of a bit, mixed in the logistic domain (Mahoney 2005, paq7; 2007, lpaq1).

Every byte is eight bits along a binary tree. At a node, the inputs are the predictions of the network, the
matches and the bit histories, as ln(p / (1 - p)). Seven sets of weights, each chosen by a small context, give
seven outputs; the mean of four final sets weighs those, and two adaptive probability maps (APMs) refine the
result. The range of the coder is shared out along the tree, so that a byte is an interval, and one symbol for
the coder.

This is the reference; kernel/mixer.c is its twin, and gives the same integers.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.coder import TOTAL
from vaezip.mixing.history import LONGEST_MATCH, History, Match, hash64, shape_class
from vaezip.mixing.parameters import (
    BYTE_SHARES,
    DEPTHS,
    EXPECTED,
    FIELDS,
    FINAL_OFFSETS,
    FINAL_SETS,
    HISTORIES,
    INPUTS,
    MATCHES,
    NODE_MARGINS,
    NODES,
    ORDERS,
    SET_OFFSETS,
    SETS,
    WEIGHT_LIMIT,
    WORD_LENGTHS,
    MixerParameters,
)
from vaezip.network.ops import Int32

_DOMAIN_LIMIT = 32767  # of the logistic domain, in units of 1/4096
_COUNT_LIMIT = 255  # of the entries of history and match map
_APM_BUCKETS = 33  # of an APM
_ORDER2_BITS = 12  # of the hash of node and two bytes, by which a row of the second APM is chosen
_APM_SHIFT = 6  # by which an APM's entry moves after a bit
_NETWORK, _BIAS, _FIRST_MATCH, _FIRST_HISTORY = 0, 1, 2, 2 + MATCHES
_SET_NODE, _SET_MATCH, _SET_BYTE, _SET_ORDER, _SET_BYTE_SHARE, _SET_FIELD, _SET_BEFORE = SET_OFFSETS[:SETS]
_FINAL_MATCH, _FINAL_BYTE, _FINAL_NODE, _FINAL_BEFORE = FINAL_OFFSETS[:FINAL_SETS]
_BYTE_SHARE_LIMITS = (20, 40, 80, 128, 192, 230, 250)  # of the network's best byte, in 256ths
_NODE_MARGIN_LIMITS = (64, 160, 320, 512, 768, 1024, 1400)  # of the network's input, sign aside
_MATCH_CLASS_LIMITS = (4, 6, 8, 12, 16, 24, 32, 64, 128, LONGEST_MATCH)


@dataclass
class _Prediction:
    """A prediction of one bit, with what learning from it needs."""

    index: int  # of the histories in a slot
    inputs: Int32  # (INPUTS,), unit 1/256
    rows: list[int]  # of the weights, one per set
    final_rows: list[int]  # of the final weights, one per final set
    outputs: list[int]  # of the sets, logistic domain, unit 1/4096
    mixed: int  # likewise, of the final mixer
    apm: tuple[int, int]  # rows of the two APMs
    bucket: int  # of these rows, the nearest
    match_bits: list[int]  # which bit each match expects, or -1
    probability: int  # of a one, 16 bits


class Mixer:
    """Intervals of the bytes of one block."""

    def __init__(self, parameters: MixerParameters, preset: int, size: int) -> None:
        """preset: which of the presets the block begins with; size: bytes of the block."""
        self._p = parameters
        self._history = History(size)
        self.learned = parameters.presets[preset].copy()
        identity = parameters.squash[:: 4096 // (_APM_BUCKETS - 1)].astype(np.int32)
        self._apm_node = np.tile(identity, (EXPECTED * NODES, 1))
        self._apm_order2 = np.tile(identity, (1 << _ORDER2_BITS, 1))
        self._tree = [0] * 512
        self._guess = (0, 0)  # the network's best and second best byte
        self._byte_share = 0  # the class of the best byte's probability, 0 to 7
        self._order = 0  # how many of the contexts of orders 1, 2, 3, 4 and 6 have come before
        self._rate = 0  # of learning the weights, for this byte

    def copy(self) -> Mixer:
        """A copy, between two bytes."""
        other = copy.copy(self)
        other.learned = self.learned.copy()
        other._apm_node, other._apm_order2 = self._apm_node.copy(), self._apm_order2.copy()
        other._history, other._tree = copy.deepcopy(self._history), self._tree.copy()
        return other

    def begin(self, exponentials: Int32) -> None:
        """Begin a byte with the network's exp(logits), int32 (256,), unit 2**-24."""
        tree = self._tree
        tree[256:] = (exponentials.astype(np.int64) + 1).tolist()
        for node in range(255, 0, -1):
            tree[node] = tree[2 * node] + tree[2 * node + 1]
        first, second = np.argsort(-exponentials, kind="stable")[:2].tolist()
        self._guess = (first, second)
        self._byte_share = bisect_right(_BYTE_SHARE_LIMITS, (tree[256 + first] << 8) // tree[1])
        base, extra, half, _ = (int(n) for n in self._p.learning)
        self._rate = base + extra * half // (half + len(self._history.text))
        self._history.begin_nibble(1, self._guess)
        self._count_orders()

    def _count_orders(self) -> None:
        self._order = sum(bool(slot[0]) for slot in self._history.slots[1:6])

    def interval(self, byte: int) -> tuple[int, int]:
        """The byte's interval: where it begins, and how wide it is; then learn from it."""
        return self._code(byte, 0)[1]

    def symbol(self, quantile: int) -> tuple[int, tuple[int, int]]:
        """The byte whose interval holds `quantile`, and the interval; then learn from it."""
        return self._code(None, quantile)

    def _code(self, byte: int | None, quantile: int) -> tuple[int, tuple[int, int]]:
        below, width = 1, TOTAL - 2
        node = 1  # of the byte: its bits so far, with a leading 1
        for depth in range(8):
            if depth == 4:
                self._history.begin_nibble(node, self._guess)
                self._count_orders()
            prediction = self._predict(node, depth)
            ones = _share_of_ones(width, prediction.probability, depth)
            bit = int(quantile >= below + width - ones) if byte is None else byte >> (7 - depth) & 1
            if bit:
                below, width = below + width - ones, ones
            else:
                width -= ones
            self._learn(prediction, bit)
            node = 2 * node + bit
        self._history.push(node & 255)
        return node & 255, (below, width)

    def distribution(self) -> Int32:
        """The widths, int32 (256,), that the intervals of all bytes would have; leaves all as it was."""
        widths = np.zeros(256, np.int32)
        self._walk(1, 0, TOTAL - 2, widths)
        return widths

    def _walk(self, node: int, depth: int, width: int, widths: Int32) -> None:
        """Set the widths below a node: on the way to each, it learns as in `_code`, and forgets."""
        if depth == 8:
            widths[node & 255] = width
            return
        slots, order = self._history.slots, self._order
        if depth == 4:
            self._history.peek_nibble(node)
            self._count_orders()
        prediction = self._predict(node, depth)
        ones = _share_of_ones(width, prediction.probability, depth)
        kept = [(array, at, np.copy(array[at])) for array, at in self._touched(prediction)]
        for bit, share in enumerate((width - ones, ones)):
            if depth < 7:
                self._learn(prediction, bit)
            self._walk(2 * node + bit, depth + 1, share, widths)
            for array, at, values in kept:
                array[at] = values
        self._history.slots, self._order = slots, order

    def _touched(self, prediction: _Prediction) -> Iterator[tuple[NDArray[Any], Any]]:
        """The entries that learning from the bit changes: arrays, and the indices in them."""
        learned, slots = self.learned, self._history.slots
        states = [int(slot[prediction.index]) for slot in slots]
        yield learned.weights, prediction.rows
        yield learned.final_weights, prediction.final_rows
        yield self._apm_node, (prediction.apm[0], prediction.bucket)
        yield self._apm_order2, (prediction.apm[1], prediction.bucket)
        lengths = [_length_class(match.length) for match in self._history.matches]
        yield learned.match_map, (range(MATCHES), lengths)
        yield learned.history_map, (range(HISTORIES), states)
        for slot in slots:
            yield slot, prediction.index

    def _predict(self, node: int, depth: int) -> _Prediction:
        index = (1 << depth % 4 | node & ((1 << depth % 4) - 1)) - 1  # of the histories in a slot
        match_bits = [
            _expected_bit(match, self._history.text, node, depth) for match in self._history.matches
        ]
        expected = match_bits[0] + 1  # by the first match: 0 nothing, 1 a zero, 2 a one
        inputs = self._inputs(node, index, match_bits)
        rows, final_rows = self._choose_rows(node, depth, expected, abs(int(inputs[_NETWORK])))
        outputs, mixed = self._mix(inputs, rows, final_rows)
        order2 = hash64((self._history.last_two << 8) | node) >> (64 - _ORDER2_BITS)
        apm = expected * NODES + node, order2
        probability, bucket = self._refine(mixed, apm)
        return _Prediction(
            index, inputs, rows, final_rows, outputs, mixed, apm, bucket, match_bits, probability
        )

    def _inputs(self, node: int, index: int, match_bits: list[int]) -> Int32:
        """What network, matches and histories say of the bit, int32 (INPUTS,), unit 1/256."""
        stretch, learned = self._p.stretch, self.learned
        inputs = np.zeros(INPUTS, np.int32)
        network = (self._logarithm(self._tree[2 * node + 1]) - self._logarithm(self._tree[2 * node])) >> 8
        inputs[_NETWORK] = max(-2047, min(2047, network))
        inputs[_BIAS] = 256
        for i, (match, bit) in enumerate(zip(self._history.matches, match_bits, strict=True)):
            if bit >= 0:
                trust = int(stretch[learned.match_map[i, _length_class(match.length)] >> 20])
                inputs[_FIRST_MATCH + i] = trust if bit else -trust
        for i, slot in enumerate(self._history.slots):
            if slot[index]:
                inputs[_FIRST_HISTORY + i] = stretch[learned.history_map[i, slot[index]] >> 20]
        return inputs

    def _choose_rows(self, node: int, depth: int, expected: int, network: int) -> tuple[list[int], list[int]]:
        """Rows of the weights, one per set, and of the final weights; `network` is its input, sign aside."""
        history, order, share = self._history, self._order, self._byte_share
        margin = bisect_right(_NODE_MARGIN_LIMITS, network)
        match = 2 + bisect_right(_MATCH_CLASS_LIMITS, history.matches[0].length) if expected else 0
        fields, letters = min(history.fields, FIELDS - 1), min(history.word_length, WORD_LENGTHS - 1)
        last, before = history.last_two & 255, _byte_kind(history.last_two >> 8)
        rows = [
            _SET_NODE + node,
            _SET_MATCH + match * DEPTHS + depth,
            _SET_BYTE + last * DEPTHS + depth,
            _SET_ORDER + (order * NODE_MARGINS + margin) * DEPTHS + depth,
            _SET_BYTE_SHARE + ((expected * ORDERS + order) * BYTE_SHARES + share) * NODE_MARGINS + margin,
            _SET_FIELD + (fields * WORD_LENGTHS + letters) * DEPTHS + depth,
            _SET_BEFORE + before * DEPTHS + depth,
        ]
        final_rows = [
            _FINAL_MATCH + match * BYTE_SHARES + share,
            _FINAL_BYTE + last,
            _FINAL_NODE + node,
            _FINAL_BEFORE + before * DEPTHS + depth,
        ]
        return rows, final_rows

    def _mix(self, inputs: Int32, rows: list[int], final_rows: list[int]) -> tuple[list[int], int]:
        """The outputs of all sets, and what the final ones make of them: logistic domain, unit 1/4096."""
        sums = ((self.learned.weights[rows] >> 3) * inputs).sum(axis=1) >> 9
        outputs = np.clip(sums, -_DOMAIN_LIMIT, _DOMAIN_LIMIT).tolist()
        final = self.learned.final_weights[final_rows].sum(axis=0).tolist()
        mixed = sum(w * (x >> 4) for w, x in zip(final, outputs, strict=True)) >> 14
        return outputs, max(-_DOMAIN_LIMIT, min(_DOMAIN_LIMIT, mixed))

    def _refine(self, mixed: int, apm: tuple[int, int]) -> tuple[int, int]:
        """The probability of a one, 16 bits, after both APMs have had their say, and their nearest bucket."""
        bucket, fraction = divmod(mixed + _DOMAIN_LIMIT + 1, 2048)
        low = int(self._apm_node[apm[0], bucket]) + int(self._apm_order2[apm[1], bucket])
        high = int(self._apm_node[apm[0], bucket + 1]) + int(self._apm_order2[apm[1], bucket + 1])
        refined = (low * (2048 - fraction) + high * fraction) >> 11
        probability = (2 * self._squash(mixed) + refined) >> 2
        return max(16, min(65520, probability)), bucket + (fraction >= 1024)

    def _learn(self, prediction: _Prediction, bit: int) -> None:
        history, target = self._history, bit << 16
        for row, output in zip(prediction.rows, prediction.outputs, strict=True):
            step = ((target - self._squash(output)) * self._rate) >> 8
            moved = self.learned.weights[row] + ((prediction.inputs * step + 32768) >> 16)
            self.learned.weights[row] = np.clip(moved, -WEIGHT_LIMIT, WEIGHT_LIMIT)
        step = ((target - self._squash(prediction.mixed)) * int(self._p.learning[3])) >> 8
        moves = ((np.array(prediction.outputs) >> 4) * step + 32768) >> 16
        moved = self.learned.final_weights[prediction.final_rows] + moves
        self.learned.final_weights[prediction.final_rows] = np.clip(moved, -WEIGHT_LIMIT, WEIGHT_LIMIT)
        for table, row in zip((self._apm_node, self._apm_order2), prediction.apm, strict=True):
            entry = row, prediction.bucket
            table[entry] += ((65535 if bit else 0) - table[entry]) >> _APM_SHIFT
        for i, (match, match_bit) in enumerate(zip(history.matches, prediction.match_bits, strict=True)):
            if match_bit >= 0:
                self._adapt(self.learned.match_map[i], _length_class(match.length), match_bit == bit)
        for i, slot in enumerate(history.slots):
            state = slot[prediction.index]
            if state:
                self._adapt(self.learned.history_map[i], int(state), bit)
            slot[prediction.index] = self._p.next[state, bit]

    def _adapt(self, entries: NDArray[np.uint32], at: int, bit: int) -> None:
        """Move a probability towards the bit, the less the more it has seen."""
        probability, count = divmod(int(entries[at]), 1024)
        probability += (((bit << 22) - probability) * int(self._p.rate[count])) >> 16
        entries[at] = probability << 10 | (count + (count < _COUNT_LIMIT))

    def _squash(self, x: int) -> int:
        """16-bit probability of a logistic value in units of 1/4096."""
        at, fraction = divmod(x + _DOMAIN_LIMIT + 1, 16)
        low, high = int(self._p.squash[at]), int(self._p.squash[at + 1])
        return (low * (16 - fraction) + high * fraction) >> 4

    def _logarithm(self, x: int) -> int:
        """Natural logarithm in units of 2**-16."""
        bits = x.bit_length() - 1
        mantissa = (x >> (bits - 10) if bits >= 10 else x << (10 - bits)) & 1023
        return bits * int(self._p.log[1024]) + int(self._p.log[mantissa])


def _share_of_ones(width: int, probability: int, depth: int) -> int:
    """The part of an interval's width that a one takes; neither branch may leave one of its bytes nothing."""
    leaves = 128 >> depth
    return max(leaves, min(width - leaves, width * probability >> 16))


def _expected_bit(match: Match, text: bytearray, node: int, depth: int) -> int:
    """The next bit by a match; -1 if it expects none."""
    if not match.length:
        return -1
    byte = text[match.position] | 256
    return byte >> (7 - depth) & 1 if byte >> (8 - depth) == node else -1


def _byte_kind(byte: int) -> int:
    """The kind of a byte, 0 to 63: small letters one by one, capitals, digits, blanks; others by bits."""
    kind = shape_class(byte)
    if kind == ord("a"):
        return byte - kind
    if kind == 128:
        return 32 + (byte >> 3 & 15)
    return {ord("A"): 26, ord("0"): 27, ord(" "): 28, ord("\n"): 29}.get(kind, 48 + (byte & 15))


def _length_class(length: int) -> int:
    """The class of a match's length, 0 to 31."""
    if length < 16:
        return length
    if length < 32:
        return 16 + (length - 16) // 4
    if length < 64:
        return 20 + (length - 32) // 8
    return 24 + (length - 64) // 48 if length < LONGEST_MATCH else 31
