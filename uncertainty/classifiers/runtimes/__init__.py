"""Other libraries that run a network's arithmetic in torch's place: one file each."""
