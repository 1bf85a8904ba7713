"""Values, rules and plans. No AWS, no clock, no environment: time and data come in as arguments."""
