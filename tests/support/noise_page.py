"""docs/noise.md, and the normal quantile as that page alone describes it."""

import math
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "noise.md").read_text("utf-8")
COEFFICIENTS = {
    name: [
        (float(numerator), float(denominator))
        for numerator, denominator in re.findall(
            r"^\| \d \| (\S+) \| (\S+) \|$", PAGE.split(f"{name} denominator |")[1].split("\n\n")[0], re.MULTILINE
        )
    ]
    for name in ("central", "middle", "far")
}


def documented_quantile(u: float) -> float:
    """The normal quantile as docs/noise.md spells it out, one float at a time, with the coefficients printed there."""

    def ratio(x: float, name: str) -> float:
        sides = []
        for column in (0, 1):
            total = COEFFICIENTS[name][7][column]
            for power in range(6, -1, -1):
                total = total * x + COEFFICIENTS[name][power][column]
            sides.append(total)
        return sides[0] / sides[1]

    def log(p: float) -> float:
        m, e = math.frexp(p)
        if m < 0.7071067811865476:
            m, e = m * 2.0, e - 1
        s = (m - 1.0) / (m + 1.0)
        g = s * s
        t = 2.0 / 21
        for divisor in range(19, 0, -2):
            t = t * g + 2.0 / divisor
        return e * 0.6931471805599453 + s * t

    q = u - 0.5
    if abs(q) <= 0.425:
        return q * ratio(0.180625 - q * q, "central")
    r = math.sqrt(-log(u if q < 0 else 1.0 - u))
    m = ratio(r - 1.6, "middle") if r <= 5.0 else ratio(r - 5.0, "far")
    return -m if q < 0 else m
