"""The generic engine. Build your own product on this package and `datalayer.schema`.

- Collections: `document`, `fields`, `indexes`, `ids`, and `codec`, which converts documents from and to BSON types.
- Reads and writes: `repository`, `pages`, and `boundary`, which validates arguments.
- Transactions: `connection`, `transactions`, `group_commit`, `batches`.
- Connecting: `database`, `client`, `settings`.
- Errors: `errors`, and `translation` of the driver's errors.
- Environment: `clock`, `driver`.

Nothing here imports the documents or the repositories of a product.
"""
