"""Which images to look at and label next, and what their labels are good for."""
