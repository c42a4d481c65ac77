"""What a prompt is like and who will answer it well enough: learned, yet pure; no clock, disk or chance."""
