"""Restore drills, step by step."""
