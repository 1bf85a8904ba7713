"""One page, bytes to columns: by one expression where it knows every byte, else by a parser of XML, and always the same
of both; and never a page that is not whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.columns import MARKER, Columns
from functions.domain.values import ObjectKey, VersionId
from functions.storage.pages import MalformedListing, Page, Place, UnreadablePage, by_elements, by_rows, read_page
from tests.storage.canned import HEAD, OWNER, TAIL, URL, element, entry, page, truncated

PREFIX = "restic/beta/"
Row = tuple[str, str, int, int, str, str]
"""Key, version id, size, time, ETag, storage class: what Columns hold of an entry."""


def columns(*rows: Row) -> Columns:
    made = Columns()
    for key, version_id, size, time, etag, storage_class in rows:
        made.keys.append(ObjectKey(key))
        made.version_ids.append(VersionId(version_id))
        made.sizes.append(size)
        made.times.append(time)
        made.etags.append(etag)
        made.classes.append(storage_class)
    return made


def read(body: str, prefix: str = "") -> Page:
    return read_page(body.encode(), prefix, "bucket")


def outcome(reader: Callable[[bytes, str], Page | None], body: bytes, prefix: str) -> Page | str | None:
    try:
        return reader(body, prefix)
    except UnreadablePage:
        return "unreadable"


# --- the dialects of servers -----------------------------------------------------------------------


def aws(row: Row, owner: str = OWNER, fraction: str = ".000") -> str:
    key, version_id, size, time, etag, storage_class = row
    when = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
    start = element("Key", quote(PREFIX + key, safe="/*-._")) + element("VersionId", escape(version_id))
    start += element("IsLatest", "true") + element("LastModified", when)
    if size == MARKER:
        return f"<DeleteMarker>{start}{owner}</DeleteMarker>"
    content = element("ETag", f"&quot;{etag}&quot;") + element("Size", str(size)) + owner
    return f"<Version>{start}{content}{element('StorageClass', storage_class)}</Version>"


def aws_with_checksums(row: Row) -> str:
    checksum = "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    return aws(row, owner="").replace("</ETag>", f"</ETag>{checksum}")


def ceph(row: Row) -> str:
    owner = "<Owner><ID>tenant1$admin</ID><DisplayName>Jörg</DisplayName></Owner>"
    text = aws(row, owner="", fraction=".748").replace("%20", "+").replace("/", "%2F", 2).replace("%2FKey", "/Key")
    for tag in ("Version", "DeleteMarker"):
        text = text.replace(f"</{tag}>", f"{owner}<Type>Normal</Type></{tag}>")
    return text


def plain(row: Row) -> str:
    """Without what a server may leave out, and unquoted."""
    return aws(row, owner="", fraction="").replace("&quot;", "")


def moto(row: Row) -> str:
    """Another order, and quotes as they are."""
    start, tag, rest = aws(row).replace("&quot;", '"').partition("<LastModified>")
    opening, key = start[: start.index("<Key>")], start[start.index("<Key>") :]
    closing = rest[rest.rindex("</") :]
    return opening + tag + rest.removesuffix(closing) + key + closing


def unknown(row: Row) -> str:
    """With an element that nobody knows yet."""
    return aws(row).replace("<IsLatest>", "<EventHold>OFF</EventHold><IsLatest>")


KNOWN = [aws, aws_with_checksums, ceph, plain]
ODD = [moto, unknown]

texts = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&<>\"'"), min_size=1)
keys = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]) | st.sampled_from("aZ0/ +%&<>\"'"), min_size=1)
times = st.integers(0, 4_000_000_000)
classes = st.sampled_from(["STANDARD", "GLACIER", "DEEP_ARCHIVE"])
etags = st.text("0123456789abcdef-", max_size=40)
versions = st.tuples(keys, texts, st.integers(0, 10**18 - 1), times, etags, classes)
markers = st.tuples(keys, texts, st.just(MARKER), times, st.just(""), st.just(""))
rows = st.lists(versions | markers, min_size=1, max_size=5)


@settings(max_examples=300)
@given(rows, st.sampled_from(KNOWN))
def test_what_s3_and_ceph_write_is_read_exactly_and_quickly(written: list[Row], dialect: Callable[[Row], str]) -> None:
    body = page(*map(dialect, written))
    expected = Page(columns(*written), None)
    assert by_rows(body.encode(), PREFIX) == expected
    assert by_elements(body.encode(), PREFIX) == expected


@given(rows, st.lists(st.sampled_from(KNOWN + ODD), min_size=5, max_size=5))
def test_a_page_in_any_dialect_is_read_exactly(written: list[Row], dialects: list[Callable[[Row], str]]) -> None:
    body = page(*(dialect(row) for dialect, row in zip(dialects, written, strict=False)))
    assert read(body, PREFIX).columns == columns(*written)


@pytest.mark.parametrize("dialect", KNOWN + ODD)
def test_keys_and_version_ids_of_1024_bytes_are_whole(dialect: Callable[[Row], str]) -> None:
    for text in ("x" * 1012, "é" * 506, "+% " * 337 + "+"):
        row = (text, "v" * 1024, 7, 1_800_000_000, "abc", "STANDARD")
        assert read(page(dialect(row)), PREFIX).columns == columns(row)


def test_versions_and_markers_keep_the_order_in_which_s3_sent_them() -> None:
    found = read(page(entry("a", "3"), entry("a", "2", tag="DeleteMarker"), entry("a", "1"))).columns
    assert list(zip(found.version_ids, found.sizes, strict=True)) == [("3", 7), ("2", MARKER), ("1", 7)]


@pytest.mark.parametrize("etag", ['"abc"', "&quot;abc&quot;", "abc", "&#34;abc&#34;"])
def test_an_etag_is_kept_without_quotes_however_it_is_written(etag: str) -> None:
    assert read(page(entry("a", ETag=etag))).columns.etags == ["abc"]


@pytest.mark.parametrize("text", [None, ""])
def test_what_s3_may_leave_out_is_empty_or_standard(text: str | None) -> None:
    found = read(page(entry("a"), entry("b", ETag=text), entry("c", StorageClass=text))).columns
    assert (found.etags, found.classes) == (["abc", "", "abc"], ["STANDARD"] * 3)


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%25b", "a%b"),
        ("a%252Fb", "a%2Fb"),
        ("a%2Fb%2fc", "a/b/c"),
        ("%C3%BC", "ü"),
        ("a%0Ab", "a\nb"),
        ("%26amp%3B", "&amp;"),
        ("a&amp;b", "a&b"),
        ("a&#x2B;b", "a b"),
    ],
)
def test_keys_are_decoded_as_s3_encodes_them(encoded: str, key: str) -> None:
    assert read(page(entry(encoded), entry("z"))).columns.keys == [key, "z"]


def test_a_server_that_does_not_say_that_it_encodes_keys_does_not() -> None:
    assert read(page(entry("a+b%2Fc"), head=HEAD)).columns.keys == ["a+b%2Fc"]


@pytest.mark.parametrize("seconds", ["00Z", "00.123Z", "00.999999999Z", "00+00:00"])
def test_times_are_whole_seconds(seconds: str) -> None:
    found = read(page(entry("a", LastModified=f"2026-11-21T12:00:{seconds}")))
    assert found.columns.times == [datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()]


def test_a_time_may_name_another_zone() -> None:
    found = read(page(entry("a", LastModified="2026-11-21T13:30:05+01:30"))).columns.times
    assert found == [datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC).timestamp()]


# --- where it goes on ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "place"), [("z", Place("z", "9")), ("a%2Bb", Place("a+b", "9")), ("a+b", Place("a b", "9"))]
)
def test_a_truncated_page_says_where_it_goes_on(marker: str, place: Place) -> None:
    assert read(truncated(entry("a"), key=marker, version_id="9")).following == place
    assert read(truncated(entry("a"), key=marker)).following == Place(place.key)


@pytest.mark.parametrize("key", ["a+b", "a%b", "a%2Fb"])
def test_cephs_marker_which_it_does_not_encode_is_the_last_key(key: str) -> None:
    assert read(truncated(entry(quote(key, safe="")), key=key, version_id="9")).following == Place(key, "9")


def test_a_page_without_entries_may_be_the_last_or_go_on() -> None:
    assert read(page()) == Page(Columns(), None)
    assert read(truncated(key="b")) == Page(Columns(), Place("b"))


# --- what is no page -------------------------------------------------------------------------------

ENTITY = '<!DOCTYPE x [<!ENTITY e "a">]><ListVersionsResult>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "no XML"),
        ("<html/>", "<html>"),
        ("<Error><Code>InternalError</Code></Error>", "<Error>"),
        (page(entry("a"), tail="</ListVersionsResult>"), "does not say whether it goes on"),
        (page(entry("a"), tail="<IsTruncated>maybe</IsTruncated></ListVersionsResult>"), "whether it goes on"),
        (page(entry("a"), tail="<IsTruncated>false</IsTruncated>" + TAIL), "more than one <IsTruncated>"),
        (truncated(entry("a"), key=""), "names no next key"),
        (page(entry("")), "without <Key>"),
        (page(entry("a", "")), "without <VersionId>"),
        (page(entry("a", Size="")), "without <Size>"),
        (page(entry("a", Size="-1")), "no number of bytes"),
        (page(entry("a", Size="1_0")), "no number of bytes"),
        (page(entry("a", Size="٣")), "no number of bytes"),
        (page(entry("a", Size="1" * 19)), "no number of bytes"),
        (page(entry("a", LastModified="2026-02-30T12:00:00Z")), "no time"),
        (page(entry("a", LastModified="2026-02-20T12:00:60Z")), "no time"),
        (page(entry("a", LastModified="2026-02-20T12:00:00")), "no time"),
        (page(entry("a", LastModified="0001-01-01T00:00:00+23:00")), "no time"),
        (page(entry("%FF")), "no UTF-8"),
        (page(entry("a<b/>c")), "elements in it"),
        (page(entry("a") + entry("b").replace("<IsLatest>", "<Key>c</Key><IsLatest>")), "more than one <Key>"),
        (page(f"<Hidden>{entry('a')}</Hidden>", entry("b")), "within another element"),
        (page(entry("a"))[:-1], "no XML"),
        (page(entry("a\x07")), "no XML"),
        (page(entry("a")).replace("UTF-8", "UTF-17"), "no XML"),
    ],
)
def test_what_is_no_whole_page_is_refused(body: str, why: str) -> None:
    with pytest.raises(MalformedListing, match=f"^a listing of bucket .*{why}.*; nothing was recorded$"):
        read(body)


@pytest.mark.parametrize("body", [page(entry("q/config")), page(entry("p/config"), entry("q/a%26"), entry("q/&amp;"))])
def test_a_key_outside_the_prefix_is_refused(body: str) -> None:
    with pytest.raises(MalformedListing, match="left its prefix; nothing was recorded"):
        read(body, "p/")


@pytest.mark.parametrize(
    ("opened", "closed"), [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?hidden ", "?>"), ("<a b='", "'/>")]
)
def test_what_only_looks_like_an_entry_is_none(opened: str, closed: str) -> None:
    hidden = opened + entry("hidden") + closed
    bodies = [page(hidden, entry("b")), page(entry("b"), hidden), page(entry("b"), tail=hidden + TAIL)]
    bodies += [page(entry("b"), head=HEAD + hidden + URL)]
    if opened.endswith("'"):  # no markup may stand in an attribute
        for body in bodies:
            with pytest.raises(MalformedListing):
                read(body)
    else:
        assert [read(body).columns.keys for body in bodies] == [["b"]] * 4


@settings(max_examples=50)
@given(rows, st.sampled_from(KNOWN + ODD), st.data())
def test_a_page_that_is_cut_off_anywhere_is_refused(
    written: list[Row], dialect: Callable[[Row], str], data: st.DataObject
) -> None:
    body = page(*map(dialect, written)).encode()
    with pytest.raises(MalformedListing):
        read_page(body[: data.draw(st.integers(0, len(body) - 1))], PREFIX, "bucket")


PIECES = [
    *("<", ">", "&", '"', "'", "\n", "\r", " ", "\x00", "\x0b", "\x7f", "\x85", "-", "+", "%", "%2F", "%FF", "1", "٣"),
    *("&amp;", "&lt;", "&quot;", "&#65;", "&#0;", "&e;", "]]>", "<!--", "-->", "<![CDATA[", "<?", "?>", "\ufffe"),
    *("<Version>", "</Version>", "<DeleteMarker>", "</DeleteMarker>", "<Version/>", "<Owner>", "</Owner>", "<Key>"),
    *("<Size>1</Size>", "<IsTruncated>true</IsTruncated>", "</ListVersionsResult>", "<ListVersionsResult>", ENTITY),
    *("UTF-16", "latin-1", "standalone='yes'", "xmlns='a'", "xmlns:a='b'", "<a:Version>", "\ufeff", "T24:00", ":60"),
]
pieces = st.sampled_from([piece.encode() for piece in PIECES]) | st.binary(min_size=1, max_size=2)
places, lengths = st.integers(0, 3000), st.integers(0, 3) | st.integers(0, 800)
changes = st.tuples(places, lengths, pieces | st.just(b"") | st.tuples(places, lengths))


@settings(max_examples=500)
@given(rows, st.sampled_from(KNOWN), st.lists(changes, min_size=1, max_size=4))
def test_a_page_that_was_tampered_with_is_read_as_xml_says_or_not_at_all(
    written: list[Row], dialect: Callable[[Row], str], tampered: list[tuple[int, int, bytes | tuple[int, int]]]
) -> None:
    body = page(*map(dialect, written)).encode()
    for place, length, put in tampered:
        start = place % (len(body) + 1)
        piece = put if isinstance(put, bytes) else body[put[0] : put[0] + put[1]]  # from elsewhere in the page
        body = body[:start] + piece + body[start + length :]
    quick = outcome(by_rows, body, PREFIX)
    assert quick is None or quick == outcome(by_elements, body, PREFIX)
