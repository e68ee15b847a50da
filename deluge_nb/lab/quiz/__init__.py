"""Questions of the course with their options, and the embedded model's answers, live and recorded."""
