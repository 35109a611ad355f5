"""The normal law to a hundred digits, by another series in another arithmetic than the package's."""

from decimal import Decimal, localcontext
from fractions import Fraction

PI = Decimal(
    "3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679821480865"
)


def density(x: Fraction) -> Decimal:
    """phi(x)."""
    with localcontext(prec=110):
        return (-(number(x) ** 2) / 2).exp() / (2 * PI).sqrt()


def tail(x: Fraction) -> Decimal:
    """P(Z > x), x >= 0, to about 1e-95: 1/2 - phi(x) sum of x^(2k+1) / (2k+1)!!, whose terms are all positive."""
    with localcontext(prec=110):
        term = total = number(x)
        k = 1
        while term > Decimal("1e-108"):
            k += 2
            term = term * number(x) ** 2 / k
            total += term
        return Decimal("0.5") - density(x) * total


def probability(n: int, sigma: Fraction) -> Decimal:
    """P(round(sigma Z) = n)."""
    with localcontext(prec=110):
        if n == 0:
            return 1 - 2 * tail(Fraction(1, 2) / sigma)
        return tail((abs(n) - Fraction(1, 2)) / sigma) - tail((abs(n) + Fraction(1, 2)) / sigma)


def number(x: Fraction) -> Decimal:
    with localcontext(prec=110):
        return Decimal(x.numerator) / x.denominator
