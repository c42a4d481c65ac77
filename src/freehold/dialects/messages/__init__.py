"""Anthropic messages: requests and whole answers, read and written."""
