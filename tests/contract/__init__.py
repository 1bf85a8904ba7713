"""One suite of S3's rules, run over every S3 server at hand: the strict fake, moto, the embedded AWS, Ceph.

A rule that a server cannot show is not run there; it says why, and `python -m tests.contract` prints it.
"""
