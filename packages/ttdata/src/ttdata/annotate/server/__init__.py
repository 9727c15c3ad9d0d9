"""The server of the annotation platform, behind the extra `ttdata[annotate]`."""
