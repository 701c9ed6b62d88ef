"""Small dense kernels of the solver: tiles, triangular systems, quadratics within bounds.

Symmetric systems of up to a few hundred unknowns, without allocation. To be read in this order:
tiles (the product that all else is made of), triangular (Cholesky, and what its factor solves),
bounded_quadratic.
"""

from .bounded_quadratic import (
    AT_LOWER,
    AT_UPPER,
    FREE,
    SLACK,
    BoundedQuadratic,
    minimise,
    new_bounded_quadratic,
)
from .tiles import SIDE, padded, stride
from .triangular import (
    SUMS,
    cholesky,
    copy_row,
    dots,
    dots_of,
    eliminate_rows,
    inner_products,
    invert_transposed,
    solve_lower,
    solve_upper,
)

__all__ = [
    "AT_LOWER",
    "AT_UPPER",
    "FREE",
    "SIDE",
    "SLACK",
    "SUMS",
    "BoundedQuadratic",
    "cholesky",
    "copy_row",
    "dots",
    "dots_of",
    "eliminate_rows",
    "inner_products",
    "invert_transposed",
    "minimise",
    "new_bounded_quadratic",
    "padded",
    "solve_lower",
    "solve_upper",
    "stride",
]
