"""Bodies of replies: unpacked, in UTF-8, and read within limits of size."""
