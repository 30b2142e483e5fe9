from vaeserve.sources.content import describe_rows, images_spec, table_spec


def test_rows_are_described_in_words() -> None:
    assert describe_rows(3, images_spec((8, 9, 1))) == "3 images of 9 x 8 pixels in grey"
    assert describe_rows(3, images_spec((8, 9, 3))) == "3 images of 9 x 8 pixels in colour"
    assert describe_rows(3, images_spec((8, 9, 4))) == "3 images of 9 x 8 pixels in 4 channels"
    assert describe_rows(3, table_spec(tuple(range(21)), 1.0)) == "3 rows of 21 numbers"
