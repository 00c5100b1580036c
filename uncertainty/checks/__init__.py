"""What is taken from outside: arrays as callers hand them over, and tables as files hold them."""
