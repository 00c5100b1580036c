"""The review desk: people look at screened images, the most suspicious first, and say what is in them."""
