"""The rules of windows under their public name; they are defined in `tttrain.data.windows`."""

from tttrain.data.windows import STEP_FRAMES as STEP_FRAMES
from tttrain.data.windows import central_start as central_start
from tttrain.data.windows import draw_start as draw_start
from tttrain.data.windows import sliding_starts as sliding_starts
from tttrain.data.windows import temporal_sigma as temporal_sigma
from tttrain.data.windows import training_start as training_start
