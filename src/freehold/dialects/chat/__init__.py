"""OpenAI chat completions: requests and whole answers, read and written."""
