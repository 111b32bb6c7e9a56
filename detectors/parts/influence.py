"""What the climate does to a head: by how much its zero moves with temperature and humidity, learned from itself.

Least squares of a head's changes on those of its climate, kept as sums that fade: some numbers a head, whatever its
past. Coefficients are drawn towards 0 where the climate has hardly moved, so that little evidence takes little away.

    >>> influence = Influence(1, 1, features=1, memory=1000.0)
    >>> at = np.array([0]), np.array([0])
    >>> for k in range(50):
    ...     influence.learn(*at, np.array([[float(k % 5)]]), np.array([0.3 * (k % 5)]))
    >>> influence.explained(*at, np.array([[[10.0]]])).round(2).tolist()
    [[2.99]]

References:
    Sensors 22 (2022) 3301: the answer of gas sensors falls about linearly with temperature and humidity, and
    regression on both takes most of it away.
    A. E. Hoerl, R. W. Kennard, Ridge regression, Technometrics 12 (1970).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Slots
from gateway.core.model import Float64

_RIDGE: Final = 3e-3
"""How strongly coefficients are drawn towards 0, as a share of the climate's own variance."""
_TINY: Final = 1e-9


class Influence:
    """The sums and coefficients of every member.

    Args:
        rules: Number of rules; there is one spare slot more.
        width: Members a rule.
        features: What the climate is described by.
        memory: How many changes are remembered; older ones fade.

    Attributes:
        squares: float64[rules + 1, width, features, features], state.
        products: float64[rules + 1, width, features], state.
        coefficients: float64[rules + 1, width, features], state.
    """

    def __init__(self, rules: int, width: int, features: int, memory: float) -> None:
        self._keep = 1.0 - 1.0 / max(memory, 2.0)
        self._identity: NDArray[np.float64] = np.eye(features)
        self.squares: Float64 = np.zeros((rules + 1, width, features, features))
        self.products: Float64 = np.zeros((rules + 1, width, features))
        self.coefficients: Float64 = np.zeros((rules + 1, width, features))

    def learn(self, slots: Slots, places: Slots, change: Float64, answer: Float64) -> None:
        """Take in how the climate of these members has changed, float64[n, features], and what they have shown."""
        at = slots, places
        squares = self.squares[at] * self._keep + change[:, :, None] * change[:, None, :]
        products = self.products[at] * self._keep + change * answer[:, None]
        self.squares[at], self.products[at] = squares, products
        ridge = _RIDGE * np.einsum("nii->n", squares) / squares.shape[1] + _TINY
        self.coefficients[at] = np.linalg.solve(squares + ridge[:, None, None] * self._identity, products[:, :, None])[
            :, :, 0
        ]

    def explained(self, slots: Slots, places: Slots, change: Float64) -> Float64:
        """Return what part of these members' changes the climate explains, float64[n, spans].

        Args:
            slots: The rules.
            places: The members.
            change: float64[n, spans, features]; NaN where the climate is not known, and then in the answer.
        """
        explained: Float64 = np.einsum("nsf,nf->ns", change, self.coefficients[slots, places])
        return explained

    def forget(self, slots: Slots) -> None:
        """Begin anew."""
        for column in (self.squares, self.products, self.coefficients):
            column[slots] = 0.0

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {"squares": self.squares, "products": self.products, "coefficients": self.coefficients}
