"""Questions of the course with their options, and what the embedded model answered and wrote, live and recorded."""
