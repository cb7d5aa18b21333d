"""The bytes of a chunked response as they came over the network."""

from collections.abc import Sequence


def payloads(reads: Sequence[bytes]) -> list[bytes]:
    """The part of the body in each of `reads`, if there is any.

    An HTTP library that hands a body on as it arrives hands it on in these pieces,
    whatever the chunks are.
    """
    wire = b"".join(reads)
    spans = _chunk_spans(wire)
    pieces = []
    start = 0
    for read in reads:
        end = start + len(read)
        pieces.append(b"".join(wire[max(start, a) : min(end, b)] for a, b in spans))
        start = end
    return [piece for piece in pieces if piece]


def _chunk_spans(wire: bytes) -> list[tuple[int, int]]:
    """Where the body of each chunk begins and ends in `wire`."""
    spans = []
    position = wire.index(b"\r\n\r\n") + 4
    while (line_end := wire.find(b"\r\n", position)) >= 0:
        size = int(wire[position:line_end], 16)
        begin = line_end + 2
        spans.append((begin, begin + size))
        position = begin + size + 2
    return spans
