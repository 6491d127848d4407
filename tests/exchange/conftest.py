"""One key pair for all tests of the exchange: making one takes a moment."""

import pytest

from kalshiflow.exchange.credentials import Credentials, PublicKey, generate_key


@pytest.fixture(scope="session")
def key_pair() -> tuple[str, PublicKey]:
    """Give a private key as PEM, and its public half."""
    return generate_key()


@pytest.fixture
def credentials(key_pair: tuple[str, PublicKey]) -> Credentials:
    """Give credentials with the key id `key-1`."""
    return Credentials.from_pem("key-1", key_pair[0])
