"""What a prune may destroy, what it proposes, and what it confirms again just before each call."""
