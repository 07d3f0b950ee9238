"""zstd behind file names that end in ``.zst``: what is written is compressed on the way, and read as if it were not.

    lines  ->  one frame of zstd, level 3, with a checksum  ->  output-rs0.jsonl.zst
    lines  <-  frames, one after the other                  <-  of any writer: several frames, padding between them

Of either way a few MB are in memory, whatever the size; some 25 MB where the text only repeats itself. The bytes of a
file follow from what is written and from the version of the library, which is pinned, not from the pieces in which it
is written. Level 3 leaves a bit more than a fourth of generated solutions; level 9 leaves a tenth less of that and
takes three times as long.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import zstandard

SUFFIX = ".zst"
LEVEL = 3

# What is uncompressed at once: little, as text that repeats itself shrinks to some bytes for 128 kB.
_PIECE = 2**10
_BUFFER = 2**18


class DamagedError(ValueError):
    """A compressed file was cut or changed, or something stands behind its end; the message says what."""


def is_compressed(path: str | Path) -> bool:
    """Whether the name of a file says that it is compressed."""
    return Path(path).suffix == SUFFIX


def open_compressed(path: str | Path) -> IO[bytes]:
    """Open a compressed file for reading its lines as they were before.

    Reading raises DamagedError after the last line that is whole.
    """
    return io.BufferedReader(_Uncompressed(open(path, "rb", buffering=_BUFFER)), _BUFFER)


@contextlib.contextmanager
def compressing(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Compress into ``stream`` what is written; its end is only written where the block ends well."""
    writer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(stream, closefd=False)
    yield writer
    writer.flush(zstandard.FLUSH_FRAME)


class _Uncompressed(io.RawIOBase):
    """The text of a compressed file. Other than the library's reader, it tells the end of a frame from a cut."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ends_here = False
        self._text = memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer)
        while not self._text:
            piece = self._frame.unused_data or self._file.read(_PIECE)
            if not piece and self._ends_here:
                return 0
            self._text = memoryview(self._uncompress(piece))
        size = min(len(wanted), len(self._text))
        wanted[:size] = self._text[:size]
        self._text = self._text[size:]
        return size

    def _uncompress(self, piece: bytes) -> bytes:
        if not piece:
            raise DamagedError("the file ends in the middle of its compressed text")
        if self._frame.eof:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            text = self._frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise DamagedError(f"no whole zstd ({error})") from None
        self._ends_here = self._frame.eof and not self._frame.unused_data
        return text
