"""The models that are served, by name and version."""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from serving.models.loaded import LoadedModel
from serving.models.repository import ModelKey
from serving.models.served import Served
from vaeserve.errors import InvalidInput, NotReady, UnknownName

_MAXIMUM_NAMED = 16  # models that an error lists

ModelT = TypeVar("ModelT", bound=LoadedModel)


class Registry(Generic[ModelT]):
    """The models being served. Until all are loaded, a model that is not there is still to come.

    Args:
        default_name: name of the model for requests that name none; empty: they get the only one.
    """

    def __init__(self, default_name: str = "") -> None:
        self._default_name = default_name
        self._served: dict[ModelKey, ModelT] = {}
        # By what requests may name: no name for the default, version 0 for the newest.
        self._by_request: dict[ModelKey, ModelT] = {}
        self._is_loading = True
        self.only: ModelT | None = None
        """The model that is served, where it is the only one."""

    def put(self, served: ModelT) -> ModelT | None:
        """Serves a model from now on. Returns the one that it replaces, of the same name and version."""
        replaced = self._served.get(served.key)
        self._served[served.key] = served
        self._index()
        return replaced

    def loaded(self) -> None:
        """Ends the start: from now on a model that is not there is unknown, and one alone is the only one."""
        self._is_loading = False
        self._index()

    def remove(self, key: ModelKey) -> ModelT:
        """Stops serving a model, and returns it."""
        removed = self._served.pop(key)
        self._index()
        return removed

    def find(self, name: str, version: int) -> ModelT:
        """Returns a model. An empty name: the default, or without a default the only one. Version 0: the newest.

        Raises:
            InvalidInput: the name is empty, there is no default, and models of several names are served.
            UnknownName: no such model is served.
            NotReady: the model is not there, and models are still being loaded.
        """
        served = self._by_request.get((name, version))
        if served is None:
            raise self._unknown(name, version)
        return served

    def __iter__(self) -> Iterator[ModelT]:
        return iter(list(self._served.values()))

    def all(self) -> list[ModelT]:
        """Returns every model, ordered by name, then version.

        Raises:
            NotReady: the models are still being loaded.
        """
        if self._is_loading:
            raise NotReady("models are still being loaded")
        return [self._served[key] for key in sorted(self._served)]

    def _index(self) -> None:
        self._by_request = dict(self._served)
        self.only = next(iter(self._served.values())) if len(self._served) == 1 and not self._is_loading else None
        names = {name for name, _ in self._served}
        only_name = next(iter(names)) if len(names) == 1 and not self._is_loading else ""
        default = self._default_name or only_name
        for name in names:
            versions = {version: served for (other, version), served in self._served.items() if other == name}
            self._by_request[name, 0] = versions[max(versions)]
            for version, served in versions.items():
                served.is_default = version == max(versions) and self._default_name in ("", name)
            if name == default:
                self._by_request |= {("", version): served for version, served in versions.items()}
                self._by_request["", 0] = self._by_request[name, 0]

    def _unknown(self, name: str, version: int) -> InvalidInput | UnknownName:
        models = self.all()
        names = sorted({model.manifest.name for model in models})
        if not name and not self._default_name and len(names) > 1:
            return InvalidInput("model", f"is empty, and there are several: name one of {_listed(names)}")
        model = f"model {name[:128]!r}" if name else f"the default model {self._default_name!r}"
        reference = " ".join([model] * bool(name or self._default_name) + [f"version {version}"] * bool(version))
        here = _listed([f"{model.manifest.name} version {model.manifest.version}" for model in models])
        verb = "are" if len(models) > 1 else "is"
        return UnknownName(f"{reference or 'a model'} is not served here; {here or 'nothing'} {verb}")


class Models(Registry[Served]):
    """The models that a server offers."""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAXIMUM_NAMED
    return ", ".join(names[:_MAXIMUM_NAMED]) + (f" and {more} more" if more > 0 else "")
