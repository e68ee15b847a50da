"""Recognition of a reply by what it is: an event stream, lines of JSON, or one document, with anything around it."""
