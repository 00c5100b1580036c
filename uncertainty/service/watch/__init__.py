"""A watched folder: images are screened as they arrive, once each, and what is flagged is handed on."""
