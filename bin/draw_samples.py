"""Draw the samples of `static/samples/` and the picture of the README, and read them with the shipped models.

    .venv-dev/bin/python bin/draw_samples.py

Every picture here is drawn by the project's own synthesis. A sample is the first seed whose drawing is taken
for its type and read right; the picture of the README takes the seeds as they come, right or wrong.
"""

import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ml.recognition.images import ImageError  # noqa: E402 (after the path)
from ml.recognition.pipeline import GENERAL, Recognizer, Unsolvable  # noqa: E402
from ml.recognition.reader import Reader, TypeClassifier  # noqa: E402
from ml.recognition.synthesis import fonts, generator  # noqa: E402

SAMPLES = ROOT / "static" / "samples"
PICTURE = ROOT / "docs" / "images" / "readings.png"
# name: (style, width, height, texts to try)
WANTED = {
    "captcha_type_a": ("ripples", 250, 50, ("K9XEF", "RH4ZU", "3WQDN")),
    "captcha_type_b": ("sums", 260, 60, ("33+2=?", "47+5=?", "60+8=?")),
    GENERAL: ("mixed", 180, 60, ("H4K9X", "93717", "MWPZ")),
}
SEEDS = range(2**44, 2**44 + 3000)
COLUMNS, ROWS, CELL = 4, 5, (220, 92)


def main() -> int:
    recognizer = shipped_models()
    SAMPLES.mkdir(parents=True, exist_ok=True)
    missing = []
    for name, (style, width, height, texts) in WANTED.items():
        data = first_right(recognizer, name, style, (width, height), texts)
        if data is None:
            missing.append(name)
            continue
        (SAMPLES / f"{name}.png").write_bytes(data)
        print(f"{name}: {recognizer.recognize(data)}")
    picture_of_readings(recognizer)
    if missing:
        print(f"no drawing was read right for: {', '.join(missing)}", file=sys.stderr)
    return bool(missing)


def shipped_models() -> Recognizer:
    """The newest version of each shipped model."""
    newest = {}
    for spec in sorted((ROOT / "ml" / "artifacts").glob("*/*/spec.json"), key=lambda p: int(p.parent.name)):
        newest[spec.parent.parent.name] = spec.parent
    types = TypeClassifier(newest.pop("types"))
    general = Reader(newest.pop(GENERAL))
    return Recognizer(types, {slug: Reader(folder) for slug, folder in newest.items()}, general)


def first_right(
    recognizer: Recognizer, name: str, style: str, size: tuple[int, int], texts: tuple[str, ...]
) -> bytes | None:
    """The first drawing that is taken for the type `name` and read right, as PNG."""
    for seed in SEEDS:
        text = texts[seed % len(texts)]
        data = png(generator.draw(seed, style, text).image.resize(size, Image.Resampling.LANCZOS))
        try:
            recognition = recognizer.recognize(data, min_confidence=0.9)
        except (ImageError, Unsolvable):
            continue
        if recognition.captcha_type == name and recognition.text == text:
            return data
    return None


def picture_of_readings(recognizer: Recognizer) -> None:
    """A sheet of drawn captchas with what is read, and how sure the service is."""
    sheet = Image.new("RGB", (COLUMNS * CELL[0], ROWS * CELL[1]), "white")
    pen = ImageDraw.Draw(sheet)
    font = fonts.load(next(path for path in fonts.font_files() if path.name == "DejaVuSans.ttf"), 13)
    for index in range(COLUMNS * ROWS):
        x, y = index % COLUMNS * CELL[0] + 8, index // COLUMNS * CELL[1] + 6
        drawing = generator.draw(2**45 + index)
        image = drawing.image
        image.thumbnail((CELL[0] - 16, CELL[1] - 32))
        sheet.paste(image, (x, y))
        try:
            recognition = recognizer.recognize(png(drawing.image))
            right = recognition.text.upper() == drawing.text.upper()
            line = f"{recognition.text}  {recognition.confidence:.0%}"
            colour = "#15803d" if right else "#b91c1c"
        except Unsolvable as refusal:
            line, colour = f"refused: {refusal.code.replace('_', ' ')}", "#57534e"
        pen.text((x, y + CELL[1] - 28), line, font=font, fill=colour)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(PICTURE, optimize=True)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
