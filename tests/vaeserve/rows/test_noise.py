"""The golden vectors are those of docs/noise.md."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noise_page import PAGE, documented_quantile
from vaeserve.rows.noise import ROW_LIMIT, Purpose, RowRange, standard_normals

PRIOR, POSTERIOR = Purpose.PRIOR, Purpose.POSTERIOR

# (purpose, seed, row, size): the bits of the float32 values.
GOLDEN = {
    (PRIOR, 0, 0, 1): [0x3F63EC48],
    (PRIOR, 0, 0, 4): [0x3F63EC48, 0x3F2DBE55, 0x3EE391BC, 0xBD2D5201],
    (PRIOR, 0, 1, 4): [0x3F0A163E, 0xBF1A81EB, 0x3F657E0D, 0x3E2216E5],
    (PRIOR, 7, 0, 5): [0x3F97FD04, 0xBEAB36AA, 0x3D2F4F84, 0xBEDEB53D, 0x3F13D242],
    (PRIOR, 7, 1, 5): [0x3F888B82, 0xBEBD030A, 0x3FD01D48, 0xBF0F1895, 0xBFA9306E],
    (POSTERIOR, 7, 0, 5): [0xBEAE98B4, 0xBE81DB5D, 0x3F8391C9, 0x3EE6462E, 0xBF21B607],
    (PRIOR, 2**64 - 1, 2**63 - 1, 9): [
        0x3FF63E89,
        0xBEC17B7F,
        0x3F97FA19,
        0x3E66E583,
        0xBEB322CA,
        0xBFA44001,
        0xBE73DD7C,
        0xBDD8C8B8,
        0x3F3359F2,
    ],
    (POSTERIOR, 12345678901234567890, 1000000007, 3): [0xBED08580, 0xC00C29A8, 0x400C5B39],
}

seeds = st.integers(0, 2**64 - 1)
sizes = st.integers(1, 9)
purposes = st.sampled_from(Purpose)


def philox(counter: int, key: int) -> list[int]:
    """Philox4x64-10 as the paper gives it, one block of four words."""
    mask = 2**64 - 1
    x = [counter >> 64 * word & mask for word in range(4)]
    k = [key & mask, key >> 64]
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [right >> 64 ^ x[1] ^ k[0], right & mask, left >> 64 ^ x[3] ^ k[1], left & mask]
        k = [k[0] + 0x9E3779B97F4A7C15 & mask, k[1] + 0xBB67AE8584CAA73B & mask]
    return x


def test_reference_is_philox() -> None:
    known = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]  # Random123's own vector
    assert philox(0, 0) == known


@pytest.mark.parametrize("address", GOLDEN)
def test_golden_vectors(address: tuple[Purpose, int, int, int]) -> None:
    purpose, seed, row, size = address
    noise = standard_normals(purpose, [RowRange(seed, row, 1)], size)
    assert noise.view(np.uint32)[0].tolist() == GOLDEN[address]


@given(purposes, seeds, st.integers(0, ROW_LIMIT - 1), sizes)
def test_can_be_written_from_the_document_alone(purpose: Purpose, seed: int, row: int, size: int) -> None:
    blocks = -(-size // 4)
    words = [word for block in range(blocks) for word in philox(row * blocks + block + 1, seed | purpose << 64)]
    values = [documented_quantile(((word >> 12) + 0.5) * 2.0**-52) for word in words[:size]]
    noise = standard_normals(purpose, [RowRange(seed, row, 1)], size)[0]
    assert noise.tobytes() == np.array(values, np.float32).tobytes()


def test_document_prints_the_golden_vectors() -> None:
    table = PAGE.split("## Golden vectors")[1].split("\n\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    printed = {
        (Purpose(int(purpose)), int(seed), int(row), int(size)): [int(value, 16) for value in values.split()]
        for purpose, seed, row, size, values in rows
    }
    assert printed == GOLDEN


@given(purposes, seeds, st.integers(0, ROW_LIMIT - 40), sizes, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_rows_do_not_depend_on_the_split(
    purpose: Purpose, seed: int, first_row: int, size: int, lengths: list[int]
) -> None:
    starts = [first_row + sum(lengths[:part]) for part in range(len(lengths))]
    ranges = [RowRange(seed, start, length) for start, length in zip(starts, lengths, strict=True)]
    whole = standard_normals(purpose, [RowRange(seed, first_row, sum(lengths))], size)
    np.testing.assert_array_equal(whole, standard_normals(purpose, ranges, size))
    apart = [standard_normals(purpose, [part], size) for part in ranges]
    np.testing.assert_array_equal(whole, np.concatenate(apart))


@given(seeds, seeds, st.integers(0, ROW_LIMIT - 8), sizes)
def test_seeds_and_purposes_give_other_noise(one: int, other: int, first_row: int, size: int) -> None:
    def noise(purpose: Purpose, seed: int) -> np.ndarray:
        return standard_normals(purpose, [RowRange(seed, first_row, 8)], size)

    assert not np.array_equal(noise(PRIOR, one), noise(POSTERIOR, one))
    assert (one == other) == np.array_equal(noise(PRIOR, one), noise(PRIOR, other))


def test_last_row() -> None:
    noise = standard_normals(PRIOR, [RowRange(2**64 - 1, ROW_LIMIT - 3, 3)], 5)
    last = standard_normals(PRIOR, [RowRange(2**64 - 1, ROW_LIMIT - 1, 1)], 5)
    np.testing.assert_array_equal(noise[2:], last)


def test_noise_is_standard_normal() -> None:
    noise = standard_normals(PRIOR, [RowRange(3, 0, 100_000)], 3)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(noise.T), np.eye(3), atol=0.02)


def test_a_few_rows_have_the_bits_of_many() -> None:
    few, whole = (standard_normals(Purpose.PRIOR, [RowRange(7, 0, count)], 8) for count in (3, 300))
    assert few.tobytes() == whole[:3].tobytes()


def test_threads_do_not_disturb_each_other() -> None:
    def draw(seed: int) -> bytes:
        return b"".join(standard_normals(PRIOR, [RowRange(seed, row, 1)], 7).tobytes() for row in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(draw, range(40))) == [draw(seed) for seed in range(40)]
