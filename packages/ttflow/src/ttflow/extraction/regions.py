"""Which regions of a video are its players': the rule of curation, under a name of extraction."""

from ttdata.curation.player_regions import SAME_PLAYER_IOU, player_regions

__all__ = ["SAME_PLAYER_IOU", "player_regions"]
