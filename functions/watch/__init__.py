"""The watch: one function that looks at every repository and tells people what begins and what is over."""
