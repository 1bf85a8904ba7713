"""The rules over a listing, one by one, against attacks, and against an honest life."""
