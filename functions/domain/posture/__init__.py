"""The first level of the check: is the bucket configured so that versions last, and the host kept from changing it?"""
