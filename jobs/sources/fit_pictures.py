"""One picture -> a row: as the model was trained to see it, or cropped to the size that its partition has."""

from typing import NamedTuple

from jobs.sources.chunks import PictureRow
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.sources.cropping import crop_picture
from vaeserve.sources.picture import picture_size
from vaeserve.sources.pictures import picture_row

_PICTURE = "picture"  # errors of rows are told without it


class PictureFit(NamedTuple):
    """How pictures become rows."""

    spec: DataSpec
    """The model's data, of which pictures can be rows."""
    enlarges: bool = True
    """Whether a picture that is smaller than its row is scaled up, where rows may have many sizes."""

    @property
    def has_sizes(self) -> bool:
        """Whether rows may have many sizes."""
        return self.spec.sizes is not None

    def size_of(self, content: bytes) -> PictureSize | None:
        """Returns the size of a picture; None if its header is not intact: reading its row says why."""
        try:
            return picture_size(content, _PICTURE)
        except InvalidInput:
            return None

    def row(self, content: bytes, source: str, number: int, size: PictureSize | None) -> PictureRow:
        """Returns a picture as a row.

        Args:
            content: of the picture's file.
            source: the file that it comes from.
            number: its number in that file.
            size: that it is cropped to; None: the model has one size.

        Raises:
            InvalidInput: the picture is bad or does not fit.
        """
        if size is None:
            return PictureRow(source, number, picture_row(content, _PICTURE, self.spec))
        cropped = crop_picture(content, _PICTURE, self.spec.at(size), enlarges=self.enlarges)
        return PictureRow(source, number, cropped.row, crop=(cropped.original, (cropped.top, cropped.left)))
