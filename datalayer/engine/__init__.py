"""How it is done, for any tables: with `datalayer.schema`, what a product of your own is built on.

- What a table is: `document`, `fields`, `indexes`, `ids`, and `codec`, the way to and from MongoDB.
- How it is read and changed: `repository`, `pages`, and `boundary`, which validates arguments.
- What belongs together: `connection`, `transactions`, `group_commit`, `batches`.
- Where it is: `database`, `client`, `settings`.
- What goes wrong: `errors`, and `translation` from the driver's.
- What the machine gives: `clock`, `driver`.

Nothing here imports the documents or the repositories of a product.
"""
