"""Signatures: of whatever request without a body, the same as botocore's own signer makes."""

from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from functions.storage.signing import NOTHING, Signer, Unsignable
from functions.storage.wires import quoted, version_query

NOON = 1_800_000_000.0
HOST = "alpha-bucket.s3.eu-central-1.amazonaws.com"
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
headers = st.dictionaries(
    st.sampled_from(["x-amz-copy-source", "x-amz-checksum-algorithm", "x-amz-object-lock-mode", "x-amz-a", "range"]),
    words,
)
tokens = st.none() | words


def botocore_signs(
    credentials: Credentials, method: str, path: str, query: str, signed: dict[str, str], now: str
) -> str:
    """Its canonical form and its signature, of the same headers at the same time."""
    request = AWSRequest(method, f"https://{HOST}{path}{'?' if query else ''}{query}", headers=signed)
    request.context["timestamp"] = now
    auth = S3SigV4Auth(credentials, "s3", "eu-central-1")
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def split(lines: list[str]) -> dict[str, str]:
    return dict(line.split(":", 1) for line in lines)


@given(keys, st.sampled_from(["", "v1"]) | keys, headers, tokens, st.sampled_from(["GET", "PUT"]))
def test_any_request_is_signed_as_botocore_signs_it(
    key: str, version_id: str, extra: dict[str, str], token: str | None, method: str
) -> None:
    credentials = Credentials("AKID", "se/cret+", token)
    path, query = f"/{quoted(key)}", version_query(version_id) if version_id else ""
    found = split(Signer(credentials, "eu-central-1", HOST, lambda: NOON).lines(method, path, query, extra))
    authorization = found.pop("authorization")
    assert (found["x-amz-content-sha256"], found["host"]) == (NOTHING, HOST)
    assert found.items() >= extra.items()
    assert found.get("x-amz-security-token") == token
    wanted = botocore_signs(credentials, method, path, query, found, found["x-amz-date"])
    assert authorization.endswith(f", SignedHeaders={';'.join(sorted(found))}, Signature={wanted}")
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKID/20270115/eu-central-1/s3/aws4_request, ")


@given(keys)
def test_a_key_is_quoted_so_that_it_is_the_same_in_the_request_and_in_the_signature(key: str) -> None:
    assert quoted(key) == quote(key, safe="/-._~")
    assert quoted(key).isascii()
    assert " " not in quoted(key)


@pytest.mark.parametrize("odd", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "ü", "a b", "\x00", "\x85"])
def test_a_value_that_is_more_than_one_word_is_not_signed(odd: str) -> None:
    """A version id is S3's to choose, or whoever wrote the ledger's; it ends no line of a request."""
    signer = Signer(Credentials("AKID", "secret"), "eu-central-1", HOST, lambda: NOON)
    with pytest.raises(Unsignable, match="nothing was asked"):
        signer.lines("PUT", "/k", "", {"x-amz-copy-source": odd})


class Renewed:
    """Credentials that are others each time."""

    def __init__(self, *given: Credentials) -> None:
        self._given = list(given)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self._given.pop(0).get_frozen_credentials()


def test_renewed_credentials_sign_from_then_on() -> None:
    first, second = Credentials("ONE", "1", "token-1"), Credentials("TWO", "2", "token-2")
    signer = Signer(Renewed(first, second, second), "eu-central-1", HOST, lambda: NOON)
    for credentials in (first, second, second):
        found = split(signer.lines("GET", "/k", "", {}))
        authorization = found.pop("authorization")
        assert f"Credential={credentials.access_key}/" in authorization
        assert found["x-amz-security-token"] == credentials.token
        assert authorization.endswith(botocore_signs(credentials, "GET", "/k", "", found, found["x-amz-date"]))


def test_each_second_has_its_time_and_each_day_its_key() -> None:
    now = [NOON]
    credentials = Credentials("AKID", "secret")
    signer = Signer(credentials, "eu-central-1", HOST, lambda: now[0])
    for later in (0.0, 0.5, 1.0, 86_400.0, 0.0):
        now[0] = NOON + later
        found = split(signer.lines("GET", "/k", "", {}))
        authorization = found.pop("authorization")
        assert found["x-amz-date"][:8] in authorization
        assert authorization.endswith(botocore_signs(credentials, "GET", "/k", "", found, found["x-amz-date"]))
    assert found["x-amz-date"] == "20270115T080000Z"
