"""What the service does with uploads that are malformed, hostile or huge: no crash, no 5xx, no long answer.

    python bench/hostile_uploads.py [--uploads 100000] [--seed 0] [--clients 2] [--longest 0.5]

Posts to a gunicorn with two workers, as form, as JSON and as a bare body: damaged captchas of every format
that is opened and of some that are not, pictures that unfold to gigabytes, bodies that are cut off or lie
about their length, forms and JSON that are none. Every upload is made of the seed and its number alone. The
status is 1 at a 5xx, a worker that died, an answer that took longer, or memory that grew by more
than 50 MiB. Seconds are the client's, so that a busy machine counts against the service.
"""

import argparse
import base64
import http.client
import io
import json
import random
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from bench.http_server import BOUNDARY, form, gunicorn, images_of, new_account, prepared
from bench.http_solves import rss_mib

WORKERS = 2
WARM_UP = 500
GROWTH_MIB = 50
OPENED = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
NEVER_OPENED = (
    "TIFF",
    "PPM",
    "ICO",
    "TGA",
    "PCX",
    "SGI",
    "DDS",
    "PDF",
    "EPS",
    "JPEG2000",
    "ICNS",
    "IM",
    "MSP",
)
PLACES = ("/api/v1/solves", "/upload_captcha", "/api/v1/solves/batch")


@dataclass(frozen=True)
class Request:
    """A kind of upload, and what goes over the wire."""

    kind: str
    path: str
    content_type: str
    body: bytes
    says_length: int | None = None
    """A Content-Length that the body does not have; None for the true one."""


class Maker:
    """Draws hostile requests; the same seed and number make the same one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        captcha = Image.open(io.BytesIO(images_of(None, 1)[0]))
        self._files = {kind: _encoded(captcha, kind) for kind in (*OPENED, *NEVER_OPENED)}
        self._kinds: dict[str, Callable[[random.Random], bytes]] = {
            "bytes changed": self._changed,
            "cut off": self._cut,
            "parts of two": self._joined,
            "another format": lambda chance: self._files[chance.choice(NEVER_OPENED)],
            "noise": lambda chance: chance.randbytes(chance.choice((0, 1, 7, 200, 5000))),
            "noise behind a head": self._headed,
            "a size that lies": self._resized,
            "unfolds": lambda chance: _png(chance.choice((3_000, 30_000, 2**31 - 1)), bytes(100_000)),
            "text that unfolds": lambda chance: _png(50, b"", text=bytes(chance.choice((10**5, 10**7)))),
            "many frames": lambda chance: _frames(chance.choice((2, 100))),
            "markup": lambda chance: chance.choice(_MARKUP),
            "huge": lambda chance: self._files["JPEG"] + bytes(chance.choice((600_000, 3_000_000))),
        }

    def __call__(self, number: int) -> Request:
        chance = random.Random(self._seed * 10**9 + number)
        kind = chance.choice(list(self._kinds))
        image = self._kinds[kind](chance)
        path = chance.choice(PLACES)
        way = chance.choices(
            ("form", "json", "bare", "broken form", "broken json", "length"), (6, 3, 1, 1, 1, 1)
        )[0]
        content_type, body = _wrapped(way, image, path, chance)
        lies = chance.choice((0, 5, len(body) // 2)) if way == "length" else None
        return Request(f"{kind}, {way}", path, content_type, body, lies)

    def _changed(self, chance: random.Random) -> bytes:
        data = bytearray(self._files[chance.choice(OPENED)])
        for _ in range(chance.choice((1, 3, 30))):
            # Heads and tables are where decoders trust what they read.
            data[chance.randrange(chance.choice((64, len(data))))] = chance.randrange(256)
        return bytes(data)

    def _cut(self, chance: random.Random) -> bytes:
        data = self._files[chance.choice(OPENED)]
        return data[: chance.randrange(len(data))]

    def _joined(self, chance: random.Random) -> bytes:
        first, second = (self._files[kind] for kind in chance.sample(OPENED, 2))
        return first[: chance.randrange(len(first))] + second[chance.randrange(len(second)) :]

    def _headed(self, chance: random.Random) -> bytes:
        return self._files[chance.choice(OPENED)][: chance.choice((8, 16, 40))] + chance.randbytes(2000)

    def _resized(self, chance: random.Random) -> bytes:
        """Width and height of the head replaced by others; most decoders believe them."""
        kind, at, layout = chance.choice((("PNG", 16, ">II"), ("GIF", 6, "<HH"), ("BMP", 18, "<ii")))
        data = bytearray(self._files[kind])
        sizes = [chance.choice((0, 1, 255, 9_000, 65_535)) for _ in range(2)]
        struct.pack_into(layout, data, at, *sizes)
        if kind == "PNG":
            struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
        return bytes(data)


def _encoded(captcha: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    try:
        captcha.convert("1" if kind == "MSP" else "RGB").save(stream, kind)
    except (OSError, ValueError):  # an encoder that this Pillow was built without
        return kind.encode() + captcha.tobytes()[:2000]
    return stream.getvalue()


def _png(side: int, pixels: bytes, text: bytes = b"") -> bytes:
    """A PNG that says it has `side` × `side` pixels, with a compressed comment."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))]
    if text:
        chunks.append((b"zTXt", b"Comment\0\0" + zlib.compress(text)))
    chunks += [(b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _frames(count: int) -> bytes:
    frames = [Image.new("P", (160, 60), shade % 256) for shade in range(count)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


_MARKUP = (
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    b"<!DOCTYPE html><html><body>captcha</body></html>",
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "http://127.0.0.1/">]><a>&b;</a>',
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n",
    b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(http://127.0.0.1/)'\npop graphic-context",
)


def _wrapped(way: str, image: bytes, path: str, chance: random.Random) -> tuple[str, bytes]:
    """Content type and body that carry the image."""
    field = "captcha_image" if path == "/upload_captcha" else "image"
    multipart = f"multipart/form-data; boundary={BOUNDARY}"
    if way in ("form", "length"):
        return multipart, form(field, image)
    if way == "json":
        one = {"image": base64.b64encode(image).decode()}
        return "application/json", json.dumps(
            {"images": [one] * 3} if path.endswith("batch") else one
        ).encode()
    if way == "bare":
        return chance.choice(("image/png", "application/octet-stream", "text/plain", "")), image
    if way == "broken form":
        body = bytearray(form(field, image))
        body[chance.randrange(min(len(body), 160))] = chance.randrange(256)
        return chance.choice((multipart, "multipart/form-data", multipart + "x")), bytes(body)
    return "application/json", chance.choice(
        (b"[" * 20_000, b'{"image": ', b'{"image": 1e999}', b'{"image": null}', image, b'{"image": "\xff"}',
         b'{"image": "' + b"A" * 400_000 + b'"}', b"{}" * 1000, b'{"images": {}}')
    )  # fmt: skip


class Run:
    """What the service answered."""

    def __init__(self, port: int, token: str, make: Maker) -> None:
        self._port, self._token, self._make = port, token, make
        self.statuses: Counter[int] = Counter()
        self.bad: list[str] = []
        self.longest = (0.0, "")

    def post(self, number: int) -> None:
        request = self._make(number)
        began = time.monotonic()
        try:
            status = self._status(request)
        except (OSError, http.client.HTTPException) as error:
            self.bad.append(f"{number} ({request.kind}): {error!r}")
            return
        seconds = time.monotonic() - began
        self.longest = max(self.longest, (seconds, f"{number} ({request.kind}, {status})"))
        self.statuses[status] += 1
        if status >= 500:
            self.bad.append(f"{number} ({request.kind}): {status}")

    def _status(self, request: Request) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        length = len(request.body) if request.says_length is None else request.says_length
        headers = {"Authorization": f"Bearer {self._token}", "Content-Length": str(length)}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        try:
            connection.request("POST", request.path, request.body[:length], headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--longest", type=float, default=0.5, help="seconds that an answer may take")
    arguments = parser.parse_args()
    make = Maker(arguments.seed)
    with prepared("postgresql", None):
        token = new_account(balance=10**7)
        with gunicorn(workers=WORKERS) as server, ThreadPoolExecutor(arguments.clients) as pool:
            run = Run(server.port, token, make)
            list(pool.map(run.post, range(-WARM_UP, 0)))
            run.longest = (0.0, "")
            workers = server.workers()
            before = [rss_mib(worker) for worker in workers]
            began = time.monotonic()
            for start in range(0, arguments.uploads, 1000):
                list(pool.map(run.post, range(start, min(start + 1000, arguments.uploads))))
                print(f"{start:,} of {arguments.uploads:,}", end="\r", file=sys.stderr)
            seconds = time.monotonic() - began
            died = set(workers) != set(server.workers())
            grown = max(
                (rss_mib(pid) - rss for pid, rss in zip(workers, before, strict=True)) if not died else [0.0]
            )
    answered = ", ".join(f"{count:,} × {status}" for status, count in sorted(run.statuses.items()))
    print(
        f"{arguments.uploads:,} uploads after {WARM_UP} to warm up, seed {arguments.seed}, {seconds:.0f} s: "
        f"{answered}"
    )
    longest, what = run.longest
    checks = {
        f"no 5xx and no connection without an answer {run.bad[:20] or ''}": not run.bad,
        "no worker died": not died,
        f"the longest answer took {longest:.3f} s: {what}": longest <= arguments.longest,
        f"memory of a worker grew by {grown:.1f} MiB": grown <= GROWTH_MIB,
    }
    for name, holds in checks.items():
        print(f"  {'yes' if holds else 'NO '}  {name}")
    sys.exit(0 if all(checks.values()) else 1)


if __name__ == "__main__":
    main()
