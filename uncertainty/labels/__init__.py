"""What people say about images: arrays and tables of labels, how far they agree, and which are likely wrong."""
