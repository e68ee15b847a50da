"""The rows of a job: any frame as an Arrow table, in types that a folder can hold, and the hashes of its rows."""
