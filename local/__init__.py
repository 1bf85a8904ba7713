"""The embedded AWS: ministack, mended where RWM relies on it, with the synthesized stacks deployed."""
