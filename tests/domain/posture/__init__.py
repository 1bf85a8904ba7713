"""The rules over a bucket's configuration and a host's rights, one by one."""
