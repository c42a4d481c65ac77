"""OpenAI responses: requests and whole answers, read and written."""
