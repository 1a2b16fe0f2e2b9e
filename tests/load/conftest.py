"""What tests of the load room share."""

from __future__ import annotations

import pytest

from .answering import CERTIFICATES


@pytest.fixture
def tls_files() -> tuple[str, str]:
    """A certificate for localhost among those of the tests, and the file of the authority that signed it."""
    return "server.pem", str(CERTIFICATES / "authority.pem")
