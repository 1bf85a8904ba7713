"""The promises P1 to P5 while everything happens at once: hosts, an attacker, people, time, prunes, restores, faults.

`life` has the acts, `truth` the model that judges each deletion by the rules of docs/design.md alone.
"""
