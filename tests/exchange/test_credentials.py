"""Signing requests: what is signed, who can verify it, and what never shows."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kalshiflow.exchange.credentials import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Credentials,
    verify,
)
from kalshiflow.settings import SettingsError, load

PATH = "/trade-api/v2/portfolio/balance"


def test_a_signature_verifies_with_the_public_half(credentials, key_pair):
    headers = credentials.headers("get", PATH, 1_795_164_881_950)

    assert headers[KEY_HEADER] == "key-1"
    assert headers[TIMESTAMP_HEADER] == "1795164881950"
    assert verify(key_pair[1], "1795164881950", "GET", PATH, headers[SIGNATURE_HEADER])


def test_the_query_is_not_signed(credentials, key_pair):
    headers = credentials.headers("GET", PATH + "?limit=5", 1)

    assert verify(key_pair[1], "1", "GET", PATH, headers[SIGNATURE_HEADER])


@pytest.mark.parametrize(
    ("timestamp", "method", "path"),
    [("2", "GET", PATH), ("1", "POST", PATH), ("1", "GET", "/trade-api/v2/portfolio/fills")],
)
def test_a_signature_is_for_one_request_only(credentials, key_pair, timestamp, method, path):
    signature = credentials.headers("GET", PATH, 1)[SIGNATURE_HEADER]

    assert not verify(key_pair[1], timestamp, method, path, signature)


@pytest.mark.parametrize("signature", ["", "no base64!", base64.b64encode(b"x").decode(), "ä"])
def test_a_signature_that_is_none_is_refused_without_an_error(key_pair, signature):
    assert not verify(key_pair[1], "1", "GET", PATH, signature)


def test_two_signatures_of_one_request_differ_and_both_verify(credentials, key_pair):
    one, two = (credentials.headers("GET", PATH, 1)[SIGNATURE_HEADER] for _ in range(2))

    assert one != two
    assert verify(key_pair[1], "1", "GET", PATH, one)
    assert verify(key_pair[1], "1", "GET", PATH, two)


def test_an_ed25519_key_signs_too():
    key = Ed25519PrivateKey.generate()
    credentials = Credentials.from_pem("key-2", _pem(key))

    signature = credentials.headers("GET", PATH, 1)[SIGNATURE_HEADER]

    assert verify(credentials.public_key, "1", "GET", PATH, signature)


def test_neither_repr_nor_str_shows_the_private_key(credentials, key_pair):
    secret = key_pair[0].splitlines()[1]

    assert secret not in repr(credentials)
    assert secret not in str(credentials)
    assert repr(credentials) == "Credentials('key-1')"


def test_a_broken_pem_is_refused_without_quoting_it(key_pair):
    broken = key_pair[0].replace("PRIVATE", "SECRET")

    with pytest.raises(SettingsError, match="unencrypted RSA or Ed25519") as refused:
        Credentials.from_pem("key-1", broken)

    assert refused.value.__cause__ is None
    assert broken.splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1())])
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(SettingsError, match="RSA or Ed25519"):
        Credentials.from_pem("key-1", _pem(key))


def test_settings_give_the_key_from_its_content_with_written_out_line_ends(tmp_path, key_pair):
    settings = load(
        "trader",
        {
            "KALSHI_API_KEY_ID": "key-1",
            "KALSHI_PRIVATE_KEY_CONTENT": key_pair[0].replace("\n", "\\n"),
        },
        tmp_path,
    )

    signature = Credentials.from_settings(settings).headers("GET", PATH, 1)[SIGNATURE_HEADER]

    assert verify(key_pair[1], "1", "GET", PATH, signature)


def test_settings_give_the_key_from_a_file(tmp_path, key_pair):
    path = tmp_path / "key.pem"
    path.write_text(key_pair[0])
    settings = load(
        "trader",
        {"KALSHI_API_KEY_ID": "key-1", "KALSHI_PRIVATE_KEY_PATH": str(path)},
        tmp_path,
    )

    assert Credentials.from_settings(settings).key_id == "key-1"


def test_a_key_file_that_cannot_be_read_is_named(tmp_path):
    settings = load(
        "trader",
        {"KALSHI_API_KEY_ID": "key-1", "KALSHI_PRIVATE_KEY_PATH": str(tmp_path / "none.pem")},
        tmp_path,
    )

    with pytest.raises(SettingsError, match=r"none\.pem cannot be read"):
        Credentials.from_settings(settings)


def _pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
