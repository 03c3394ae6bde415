"""The scenes of a story."""

from datalayer.documents.scenes import Scene
from datalayer.ids import SceneId
from datalayer.repositories.base import Repository


class Scenes(Repository[Scene, SceneId]):
    """Scenes by id."""

    document = Scene
