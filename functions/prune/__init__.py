"""The prune: plan, ask, drop states, apply, verify; one file per step."""
