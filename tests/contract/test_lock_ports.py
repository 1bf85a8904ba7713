"""The ports of lock upkeep keep the promises of their docstrings, in memory and over boto3 alike."""

from datetime import timedelta

import pytest

from functions.domain.locks.rules import GOVERNANCE, Lock
from functions.domain.ports import LockRefused
from functions.domain.values import ObjectKey
from tests.contract.ports import Ports
from tests.contract.test_s3_ports import ODD

DAY = timedelta(days=1)
KEY = ObjectKey("a b+c")


def test_exactly_the_version_is_locked_until_then_and_its_lock_is_told(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    pinned = ports.put(bucket, f"repo/{KEY}", b"pinned")
    current = ports.put(bucket, f"repo/{KEY}", b"garbage")
    reader, setter = ports.retentions(bucket, "repo/")
    until = ports.configuration(bucket).now() + 3 * DAY
    assert reader.retention(KEY, pinned) is None
    setter.lock(KEY, pinned, until)
    assert reader.retention(KEY, pinned) == Lock(GOVERNANCE, until)
    assert reader.retention(KEY, current) is None


def test_a_lock_can_be_lengthened_and_not_be_shortened(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    version = ports.put(bucket, f"repo/{KEY}")
    reader, setter = ports.retentions(bucket, "repo/")
    now = ports.configuration(bucket).now()
    setter.lock(KEY, version, now + 2 * DAY)
    setter.lock(KEY, version, now + 5 * DAY)
    with pytest.raises(LockRefused, match=r"^AccessDenied$"):
        setter.lock(KEY, version, now + 4 * DAY)
    assert reader.retention(KEY, version) == Lock(GOVERNANCE, now + 5 * DAY)


def test_who_may_not_is_refused_by_s3s_word(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    version = ports.put(bucket, f"repo/{KEY}")
    until = ports.configuration(bucket).now() + DAY
    looks = ports.limited(bucket, ["s3:GetObjectRetention"])
    reader, setter = looks.retentions(bucket, "repo/")
    assert reader.retention(KEY, version) is None
    with pytest.raises(LockRefused, match=r"^AccessDenied$"):
        setter.lock(KEY, version, until)


def test_who_may_not_look_is_refused_too_and_learns_nothing(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    version = ports.put(bucket, KEY)
    reader, _ = ports.limited(bucket, ["s3:ListBucket"]).retentions(bucket)
    with pytest.raises(LockRefused, match=r"^AccessDenied$"):
        reader.retention(KEY, version)


def test_a_listing_goes_on_after_a_key_whatever_it_is(ports: Ports) -> None:
    bucket = ports.bucket()
    ports.put(bucket, "repo-b/config")
    for key in ODD:
        ports.put(bucket, f"repo/{key}", b"first")
        ports.hide(bucket, f"repo/{key}")
        ports.put(bucket, f"repo/{key}", b"second")
    everything = list(ports.lister(bucket, "repo/").versions())
    later = ports.later(bucket, "repo/")
    assert list(later.after(None)) == everything
    for key in ODD:
        assert list(later.after(key)) == [entry for entry in everything if entry.key > key]
    assert list(later.after(max(ODD))) == []
