"""The fonts captchas are drawn with: those installed from the Debian packages that `fonts.txt` lists."""

import functools
import re
from pathlib import Path

from PIL import ImageFont

FONT_ROOTS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"))
PACKAGES_FILE = Path(__file__).with_name("fonts.txt")

# Fonts whose Latin code points hold something else (Greek, pictures, musical notes), or no difference
# between capitals and small letters.
_UNFIT = re.compile(
    r"symbol|dingbat|math|d050000l|braille|emoji|icon|standards|euterpe|ornament|initials|swash|"
    r"smallcap|smcp|-sc\b|sc-|capitals|bullets|pointers|powerline|libertineI|keyboard|bourbaki|stixsiz|"
    r"stixnonuni|stixint|stixvar|unicode|rheims|chancer|dozenal|webfont|variable|\[",
    re.IGNORECASE,
)
_BOOK = re.compile(
    r"serif|roman|times|garamond|bask|bodoni|didot|gentium|libertine|goudy|charis|accanthis|cardo|junicode|"
    r"oldstandard|termes|pagella|bonum|schola|vollkorn|caladea|quattrocento|fanwood|lindenhill|prociono|stix|"
    r"c059|p052|essays|artemisia|berenis|romande|irianis|century|paratype",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"liberationserif|freeserif|tinos|nimbusroman|termes|stix|artemisia", re.IGNORECASE)
_SLANTED_OR_BOLD = re.compile(r"ital|obli|slant|bold|black|heavy|semi|cond|sans|mono", re.IGNORECASE)
_PROBE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class NoFonts(RuntimeError):
    """No font is installed; the message says what to type."""


@functools.cache
def font_files() -> tuple[Path, ...]:
    """Every usable font of this machine, in a stable order (by file name).

    Raises NoFonts if there is none.
    """
    found = sorted(
        (path for root in FONT_ROOTS if root.is_dir() for path in root.rglob("*") if _is_candidate(path)),
        key=lambda path: (path.name, str(path)),
    )
    usable = tuple(path for path in found if _draws_latin(path))
    if not usable:
        raise NoFonts("no fonts are installed: type `make packages` (or install the packages of fonts.txt)")
    return usable


@functools.cache
def serif_files() -> tuple[Path, ...]:
    """The upright book faces among `font_files`, by file and style name; all fonts where there is none."""
    book = [
        path
        for path in font_files()
        if _BOOK.search(path.name)
        and not _SLANTED_OR_BOLD.search(f"{path.name} {load(path, 16).getname()[1]}")
    ]
    return tuple(book) or font_files()


@functools.cache
def roman_files() -> tuple[Path, ...]:
    """The faces among `serif_files` that are cut after Times; all of those where there is none."""
    return tuple(path for path in serif_files() if _ROMAN.search(path.name)) or serif_files()


@functools.lru_cache(maxsize=16384)
def draws(path: Path, character: str) -> bool:
    """Whether the font has a glyph of its own for the character, and not the box that stands for none."""
    font = load(path, 16)
    return bytes(font.getmask(character)) not in (bytes(font.getmask("\U0010fffd")), b"")


@functools.lru_cache(maxsize=4096)
def load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _is_candidate(path: Path) -> bool:
    return path.suffix.lower() in {".ttf", ".otf", ".pfb", ".t1"} and not _UNFIT.search(path.name)


def _draws_latin(path: Path) -> bool:
    """Whether letters and digits have glyphs of their own, neither blank nor the missing-glyph box."""
    try:
        font = load(path, 16)
        missing = bytes(font.getmask("\U0010fffd"))
        shapes = {bytes(font.getmask(character)) for character in _PROBE}
    except (OSError, ValueError):
        return False
    return len(shapes) > len(_PROBE) - 6 and missing not in shapes and b"" not in shapes
