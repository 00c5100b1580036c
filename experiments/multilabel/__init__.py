"""How well p_wrong finds pictures, and decisions, that a network of several labels gets wrong."""
