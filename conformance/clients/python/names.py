"""The public names of google-auth's Compute Engine code, and its arguments."""

import inspect

from google.auth import compute_engine
from google.auth.compute_engine import _metadata

from report import say


def public(names):
    return sorted(name for name in names if not name.startswith("_"))


def of_class(cls):
    # What every credential is given when it is made.
    attributes = vars(compute_engine.Credentials())
    arguments = list(inspect.signature(cls.__init__).parameters)[1:]
    return public({*dir(cls), *attributes, *arguments})


def of_module(module):
    functions = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
    arguments = (inspect.signature(value).parameters for value in functions.values())
    return public({*functions, *(name for names in arguments for name in names)})


say(
    "names",
    package=sorted(compute_engine.__all__),
    Credentials=of_class(compute_engine.Credentials),
    IDTokenCredentials=of_class(compute_engine.IDTokenCredentials),
    _metadata=of_module(_metadata),
)
