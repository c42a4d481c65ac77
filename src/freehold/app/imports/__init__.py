"""Other programs' configurations made into ours, with a list of what could not be carried over. Pure.

    findings      what is built up while a document is read: sections of ours, and notes
    litellm       LiteLLM's proxy configuration
    llama_swap    llama-swap's configuration
    command_line  a `llama-server` command line made into keys of ours

Reading files and writing ours is `cli.import_`.
"""

from freehold.app.imports.findings import Imported, Note, as_yaml
from freehold.app.imports.litellm import from_litellm
from freehold.app.imports.llama_swap import from_llama_swap

__all__ = ["Imported", "Note", "as_yaml", "from_litellm", "from_llama_swap"]
