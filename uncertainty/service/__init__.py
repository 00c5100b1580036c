"""The workflows over HTTP: images are screened where they arrive, and what is kept of them can be read back."""
