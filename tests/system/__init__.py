"""What only the whole, deployed system shows: real queues, roles, workflows, schedules, and the real restic."""
