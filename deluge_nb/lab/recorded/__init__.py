"""Questions of the course with the embedded model's recorded answers."""
