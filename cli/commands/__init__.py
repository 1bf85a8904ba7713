"""The commands of `rwm`, by what they are about: each gathers, shows and exits."""
