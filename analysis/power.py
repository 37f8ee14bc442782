"""The smallest gap between two arms that a number of seeds can show.

It is λ e. e is the pooled standard error of the study's paired differences: with n seeds, their pooled standard
deviation / sqrt(n). λ is the shift at which Student's two-sided test finds a difference in 80 % of cases
(noncentral t).
"""

import math

from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student_t

POWER = 0.8


def smallest_gap(error: float, freedom: float, *, level: float = 0.05, power: float = POWER) -> float:
    """The true gap that Student's two-sided test at `level` finds with probability `power`; in the unit of `error`.

    `error` is the standard error of the mean difference, `freedom` its degrees of freedom. NaN if one is NaN.
    """
    if math.isnan(error) or math.isnan(freedom):
        return float("nan")
    return error * shift_found(freedom, level=level, power=power)


def shift_found(freedom: float, *, level: float, power: float) -> float:
    """The noncentrality at which the two-sided t test at `level` has this power."""
    limit = float(student_t.ppf(1 - level / 2, freedom))
    if math.isinf(freedom):  # the normal distribution, of which `nct` knows nothing
        freedom = 1e6
    # Power rises with the shift, and the far side adds less than 1e-4 of it here.
    return float(brentq(lambda shift: nct.sf(limit, freedom, shift) - power, 0.0, 20.0 * limit))
