"""Restoring a state: what is asked for and refused, the plan, the proof of each object, the report."""
