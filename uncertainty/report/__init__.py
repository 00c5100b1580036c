"""Verdicts, and labels where there are any, as one HTML file that works offline."""
