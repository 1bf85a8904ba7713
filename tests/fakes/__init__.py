"""Strict fakes: real data structures that keep S3's and DynamoDB's rules, with a clock that tests set.

They refuse what they do not know instead of ignoring it, so a test that passes on them used only what
is modelled. tests/contract shows which of their rules other S3 servers share.
"""
