"""Statistics of numbers that several parties hold: mean, deviation, median, largest.

    sequester run programs/descriptive_statistics.py --protocol rep3 \
        --input 0:values=a.csv --input 1:values=b.csv --input 2:values=c.csv

The median is found by bisection on the value: each step counts, on shares, how many numbers are
below a secret threshold, and moves the threshold by a secret selection. So not even the order of
the numbers is opened, only the four results.

Inputs:
    0:values, 1:values, ... (n,) numbers within (-bound, bound).

Prints "mean M, deviation D, median E, largest L". The median is the upper one for an even count,
with an error of about 2 * bound / 2^steps.
"""

from sequester import Parties, print_, program, sqrt, state, where


@program
def descriptive_statistics(bound: float = 128.0, steps: int = 20):
    values = Parties().input("values")
    n = values.shape[0]

    # Dividing before the sum keeps every partial sum in range, and still rounds only once.
    mean = (values * (1 / n)).sum()
    centred = values - mean
    deviation = sqrt((centred * centred * (1 / n)).sum())

    low = state(-bound)
    width = bound
    for _ in range(steps):
        middle = low + width
        below = (values < middle).sum()  # bits are counted
        low.set(where(below <= n // 2, middle, low))
        width /= 2

    print_(
        "mean {:.3f}, deviation {:.3f}, median {:.3f}, largest {:.3f}",
        mean.reveal(), deviation.reveal(), low.reveal(), values.max().reveal(),
    )  # fmt: skip
