"""What the machine draws, as far as it can measure itself. What that costs is `costs.local`."""
