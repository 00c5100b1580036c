"""What can be known about accuracy and drift without labels."""
