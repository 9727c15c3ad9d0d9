"""The one error of this package that is not a plain ValueError."""


class ModelFileError(ValueError):
    """A model folder is missing, incomplete, damaged, or of another kind or version.

    The message is one line that names the file, the value found and the value expected.
    """
