"""Classes of pictures that lie in folders."""

import pytest

from jobs.classes import ClassFolders, labels_of
from jobs.rows import SourceFile


def classes_of(*names: str) -> tuple[str, ...]:
    folders = ClassFolders()
    for name in names:
        folders.add(SourceFile(name, "", 1))
    return folders.classes()


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("b/1.png", "a/2.png", "a/x/3.png"), ("a", "b")),
        (("train/a/1.png", "test/b/2.png"), ("a", "b")),
        (("train/a/1.png", "other/b/2.png"), ("other", "train")),
        (("a/1.png", "2.png"), ()),
        (("a/1.png", "a/2.png"), ()),
        (("train/1.png", "test/2.png"), ()),
    ],
)
def test_folders_are_classes_as_training_takes_them(names: tuple[str, ...], classes: tuple[str, ...]) -> None:
    assert classes_of(*names) == classes


def test_a_label_is_the_place_of_its_class() -> None:
    assert labels_of(["b/1.png", "a/x/2.png", "c/3.png", "4.png"], ["a", "b"]).tolist() == [1, 0, -1, -1]
    assert labels_of(["train/b/1.png", "test/a/2.png"], ["a", "b"]).tolist() == [1, 0]
