"""Words and shapes can be told from what is behind them, in either colours (WCAG 2.2: 4.5 for words, 3 for shapes)."""

import pytest

from functions.domain.page.look import DARK, GROUNDS, LIGHT, SHAPES, TEXT, style

SCHEMES = {"light": LIGHT, "dark": DARK}


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `#rrggbb`."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", [*GROUNDS, "soft"])
@pytest.mark.parametrize("name", TEXT)
def test_words_can_be_read(scheme: str, ground: str, name: str) -> None:
    colours = SCHEMES[scheme]
    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_can_be_seen(scheme: str, name: str) -> None:
    colours = SCHEMES[scheme]
    assert contrast(colours[name], colours["panel"]) >= 3
    assert contrast(colours[name], colours["soft"]) >= 3


def test_both_have_the_same_colours_and_paper_is_light() -> None:
    assert LIGHT.keys() == DARK.keys()
    dark, paper = style().index("prefers-color-scheme:dark"), style().index("@media print")
    assert dark < paper, "what comes last holds"
    assert style()[paper:].startswith(f"@media print{{:root{{color-scheme:light;--ground:{LIGHT['ground']}")
