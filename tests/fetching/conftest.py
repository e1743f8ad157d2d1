from collections.abc import Iterator

import pytest
from loopback import Site, serving

from pocketface.fetching import download


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on loopback that behaves until it is told otherwise, and little patience with it."""
    patience = {"ATTEMPTS": 3, "FIRST_WAIT": 0.0, "LONGEST_WAIT": 5.0, "TIMEOUTS": (2.0, 0.4)}
    for name, value in patience.items():
        monkeypatch.setattr(download, name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as site:
        yield site
