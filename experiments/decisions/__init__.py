"""Whether promises about the flags hold, and what they cost."""
