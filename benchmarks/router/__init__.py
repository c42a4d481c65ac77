"""How good the router's choices are, measured on outcome data; and the training of what it ships."""
