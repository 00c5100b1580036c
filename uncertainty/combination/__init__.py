"""From many scores to one probability that the classifier is wrong."""
