"""Trace contexts as the W3C's recommendation has them; the first is its own example."""

import pytest

from serving.tracing.trace_context import read_state, read_trace_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("parent", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),  # flags that nobody knows yet are not passed on
        (f"cc-{TRACE}-{SPAN}-01", 1),  # a later version is read as far as this one goes
        (f"cc-{TRACE}-{SPAN}-01-what the future will be like", 1),
    ],
)
def test_what_is_valid_is_read(parent: str, flags: int) -> None:
    assert read_trace_context(parent, "a=1,b=2") == (TRACE, SPAN, flags, "a=1,b=2")


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0X",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_what_is_not_is_none(parent: str) -> None:
    assert read_trace_context(parent, "") is None


@pytest.mark.parametrize(("length", "is_kept"), [(2**14, True), (2**14 + 1, False)])
def test_a_state_that_is_too_long_is_left_out(length: int, is_kept: bool) -> None:
    context = read_trace_context(f"00-{TRACE}-{SPAN}-01", "," * length)
    assert context == (TRACE, SPAN, 1, "," * length if is_kept else "")


@pytest.mark.parametrize(
    ("state", "members"),
    [
        ("", []),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", [("rojo", "00f067aa0ba902b7"), ("congo", "t61rcWkgMzE")]),
        ("a=1 ,\tb=2, ,c@d=x y", [("a", "1"), ("b", "2"), ("c@d", "x y")]),
        ("1a=!~", [("1a", "!~")]),
        (f"{'k' * 256}={'v' * 256}", [("k" * 256, "v" * 256)]),
        (",".join(f"k{i}=v" for i in range(32)), [(f"k{i}", "v") for i in range(32)]),
        (",".join(f"k{i}=v" for i in range(33)), []),
        (f"{'k' * 257}=v", []),
        (f"k={'v' * 257}", []),
        ("a=1,A=2", []),
        ("a=1,a=2", []),
        ("a=1,b", []),
        ("a=1,b=", []),
        ("a=1,b=2=3", []),
        ("a=1,@b=2", []),
        ("a=1,b@=2", []),
        ("a=1,b=\u2713", []),
    ],
)
def test_a_state_is_read_whole_or_not_at_all(state: str, members: list[tuple[str, str]]) -> None:
    assert read_state(state) == members
