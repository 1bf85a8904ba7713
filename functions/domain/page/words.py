"""Numbers and times as people read them."""

from datetime import datetime, timedelta

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int) -> str:
    """`1.2 GiB`."""
    value, unit = float(count), 0
    while abs(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    places = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{places}f} {_UNITS[unit]}"


def number(count: float) -> str:
    """`1,234`."""
    return f"{count:,.0f}"


def amount(quantity: float) -> str:
    """`1,234.500`, or the first digits of what is very little."""
    return f"{quantity:,.3f}" if quantity >= 0.01 or quantity == 0 else f"{quantity:.2g}"


def signed(count: int) -> str:
    return f"{count:+,}" if count else "0"


def signed_size(count: int) -> str:
    return f"+{size(count)}" if count > 0 else f"-{size(-count)}" if count else "0"


def dollars(amount: float) -> str:
    """`$12.30`; what is less than a cent says so."""
    if 0 < amount < 0.005:
        return "< $0.01"
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"


def minute(at: datetime) -> str:
    """UTC, which the page says once."""
    return f"{at:%Y-%m-%d %H:%M}"


def day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def span(length: timedelta) -> str:
    """Two hours as `2 hours`: the largest unit of which there are two, or minutes."""
    seconds = max(0, int(length.total_seconds()))
    for unit, name in ((86_400, "days"), (3_600, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    minutes = seconds // 60
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 state`, `2 states`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
