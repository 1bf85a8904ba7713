"""Ceph's RADOS Gateway: an S3 server nobody here wrote. RWM_TEST_CEPH=1 turns its tests on."""
