"""What can be asked: images to be judged or explained, verdicts that are kept, and how the service is."""
