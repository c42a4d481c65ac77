"""What the router ships with. Where it comes from: `README.md` beside this file."""
