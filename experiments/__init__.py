"""Experiments on real images, in rooms by the question that they answer; README.md lists them."""
