"""The embedded model beside its bare server."""
