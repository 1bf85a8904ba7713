"""The check of content: which versions were read and proven, which to read now, and what their bytes say."""
