"""What labels that are there tell: errors among them, and what a screener learns from new ones."""
