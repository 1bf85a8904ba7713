"""Profiles for everybody who meets a local deployment: hosts, maintenance, operator, approver, downloader."""

import json
from collections.abc import Iterator
from configparser import RawConfigParser
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from functions.domain.names import Names
from local.embedded import ACCOUNT, EmbeddedAws
from local.profiles import Profile, access_key

PERSON = "local-person"
"""The IAM user of whoever sits at this machine: may become operator, downloader, and approver with MFA."""

PRINCIPALS = (f"arn:aws:iam::{ACCOUNT}:user/{PERSON}",)
"""Who must be named at synthesis, so that the person may assume the roles."""


def issue_profiles(aws: EmbeddedAws, names: Names) -> list[str]:
    """Make keys for the users and sessions for the roles that are deployed; return the profiles' names.

    Keys issued before stay valid. The approver's session lasts an hour: run it again to renew.
    """
    get_user = aws.client("iam").get_user
    profiles = [
        Profile(name, _key_of(aws, user, name)) for user, name in _users(aws, names) if _exists(get_user, UserName=user)
    ]
    people = list(_people(aws, names))
    # `rwm-operator` too: a reader of the documents has profiles with the roles' names.
    profiles += people + [replace(each, name=names.role(each.name)) for each in people if each.name != PERSON]
    aws.write_profiles(profiles)
    return [profile.name for profile in profiles]


def _people(aws: EmbeddedAws, names: Names) -> Iterator[Profile]:
    iam = aws.client("iam")
    operator, approver, downloader = (names.role(each) for each in ("operator", "approver", "downloader"))
    roles = [role for role in (operator, approver, downloader) if _exists(iam.get_role, RoleName=role)]
    if not roles:
        return
    _make_person(iam, roles)
    key = _key_of(aws, PERSON, PERSON)
    yield Profile(PERSON, key)
    for name, role in (("operator", operator), ("downloader", downloader)):
        if role in roles:
            settings = {
                "role_arn": _role_arn(role),
                "source_profile": PERSON,
                # The aws cli keeps sessions in ~/.aws by role and session name, even those of an embedded AWS that is
                # gone.
                "role_session_name": f"{PERSON}-{key['aws_access_key_id'][-8:]}",
            }
            yield Profile(name, settings=settings)
    if approver in roles:
        yield Profile("approver", _approver_session(aws.client("sts", **key), approver))


def _users(aws: EmbeddedAws, names: Names) -> Iterator[tuple[str, str]]:
    """The IAM users there may be, each with its profile's name."""
    pages = aws.client("ssm").get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=names.repository_parameters):
        for parameter in page["Parameters"]:
            repository = parameter["Name"].rpartition("/")[2]
            yield names.host(repository), f"host-{repository}"
            yield names.maintenance(repository), f"maintenance-{repository}"


def _key_of(aws: EmbeddedAws, user: str, profile: str) -> dict[str, str]:
    """The key that the profile holds already, if it is still the user's; else a new one."""
    iam = aws.client("iam")
    known = RawConfigParser()
    known.read(aws.directory / "credentials")
    if known.has_section(profile):
        held = dict(known[profile])
        keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        if held["aws_access_key_id"] in [key["AccessKeyId"] for key in keys]:
            return held
    made = iam.create_access_key(UserName=user)["AccessKey"]
    return access_key(made["AccessKeyId"], made["SecretAccessKey"])


def _make_person(iam: Any, roles: list[str]) -> None:
    if not _exists(iam.get_user, UserName=PERSON):
        iam.create_user(UserName=PERSON)
    # On AWS it is enough, in one account, that a role's trust policy names the user; ministack asks for both.
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [_role_arn(role) for role in roles]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=PERSON, PolicyName="assume-roles", PolicyDocument=document)


def _approver_session(sts: Any, approver: str) -> dict[str, str]:
    session = sts.assume_role(
        RoleArn=_role_arn(approver),
        RoleSessionName=PERSON,
        SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/{PERSON}",
        TokenCode="123456",
    )["Credentials"]
    return access_key(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def _role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def _exists(get: Any, **which: str) -> bool:
    try:
        get(**which)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return False
        raise
    return True
