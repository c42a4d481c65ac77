"""Ollama's `/api/chat`, as a client's dialect: requests read, whole answers written."""
