"""The smallest gap between two arms that a number of seeds can show.

For seeds alone it is λ e. e is the standard error of the paired difference: with n seeds, its standard deviation
/ sqrt(n). λ is the shift at which Student's two-sided test finds a difference in 80 % of cases (noncentral t). A
standard error over images has its own shift, that of the normal distribution; the two products are added in squares,
as for the interval.
"""

import math

from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student_t

POWER = 0.8


def smallest_gap(
    error: float, freedom: float, images_error: float = 0.0, *, level: float = 0.05, power: float = POWER
) -> float:
    """The true gap that a two-sided test at `level` finds with probability `power`; in the unit of the errors.

    `error` is the standard error of the mean difference over seeds, `freedom` its degrees of freedom, `images_error`
    the standard error over images. NaN if one of the first two is NaN.
    """
    if math.isnan(error) or math.isnan(freedom):
        return float("nan")
    of_images = images_error and images_error * shift_found(math.inf, level=level, power=power)
    return math.hypot(error * shift_found(freedom, level=level, power=power), of_images)


def shift_found(freedom: float, *, level: float, power: float) -> float:
    """The noncentrality at which the two-sided t test at `level` has this power."""
    limit = float(student_t.ppf(1 - level / 2, freedom))
    if math.isinf(freedom):  # the normal distribution, of which `nct` knows nothing
        freedom = 1e6
    # Power rises with the shift, and the far side adds less than 1e-4 of it here.
    return float(brentq(lambda shift: nct.sf(limit, freedom, shift) - power, 0.0, 20.0 * limit))
