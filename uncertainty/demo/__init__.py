"""From nothing to a judged screening, offline: what `uncertainty demo` runs."""
