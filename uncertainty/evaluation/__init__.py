"""Verdicts and labels together: who was wrong, where, and how well that was foreseen."""
