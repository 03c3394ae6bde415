"""The people of the community."""

from datalayer.documents.users import User
from datalayer.ids import UserId
from datalayer.repositories.base import Repository


class Users(Repository[User, UserId]):
    """Users by id."""

    document = User
