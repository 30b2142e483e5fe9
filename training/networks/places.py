"""Places of latents: the grid of each level that halves the picture."""

from typing import NamedTuple

from training.networks import Sizes
from training.networks.conv import image_of, smallest_level
from vaeserve.errors import TrainingError


class Grid(NamedTuple):
    """The places of each level, from the finest on, and how many latents each of them has."""

    levels: list[tuple[int, int]]
    latents: list[int]

    @classmethod
    def of(cls, shape: tuple[int, ...], sizes: Sizes) -> "Grid":
        """Returns the grid of pictures of this shape.

        Raises:
            TrainingError: the places of a level would not all have the same number of latents.
        """
        height, width, _ = image_of(shape)
        count, left = len(sizes.hidden), sizes.latent
        small_height, small_width = smallest_level(height, width, count)
        levels = [(small_height << level, small_width << level) for level in range(count)]
        latents = list[int]()
        for rows, columns in levels:
            latents.append(min(4 * sizes.channels, left // (rows * columns)))
            left -= latents[-1] * rows * columns
        if left:
            nearest = sizes.latent - left or small_height * small_width
            raise TrainingError(f"--latent-size: {sizes.latent} values do not fill the grid's places, {nearest} do")
        return cls(levels[::-1], latents[::-1])

    @property
    def values(self) -> list[int]:
        """Number of latents of each level."""
        return [rows * columns * latents for (rows, columns), latents in zip(self.levels, self.latents, strict=True)]

    @property
    def first(self) -> int:
        """The finest level that has latents."""
        return next(level for level, latents in enumerate(self.latents) if latents)

    def padding(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Returns what rows lack, right and below, until the levels divide them."""
        (height, width), (rows, columns) = shape[:2], self.levels[0]
        return 0, 2 * columns - width, 0, 2 * rows - height
