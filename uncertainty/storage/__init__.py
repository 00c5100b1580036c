"""Folders at URLs that are written to: objects of a store, and a copy of them here to work in."""
