import pytest

from vaeserve.addresses import addresses, is_loopback


@pytest.mark.parametrize(
    "target", ["localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "unix:/run/vae", "ipv4:127.0.0.1:1"]
)
def test_loopback(target: str) -> None:
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target", ["models.example:1", "10.0.0.1:1", "ipv4:127.0.0.1:1,10.0.0.1:1", "xds:///localhost", "localhost.evil:1"]
)
def test_other_machines(target: str) -> None:
    assert not is_loopback(target)


def test_a_target_may_list_several_addresses() -> None:
    assert addresses("ipv4:10.0.0.1:1,10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
    assert addresses("unix:/run/vae") == []
