"""One module for each family of collections: generates its documents."""
