"""Settings that the library and the command line share; nothing is imported here, so that `--help` stays quick."""

BUDGET = 0.1
"""Share of images like calibration to flag."""
CONFIDENCE = 0.95
"""With which a promise about new images shall hold, over the draw of the calibration images."""
EXPECT_DAMAGE, EXPECT_UNKNOWN = 0.05, 0.003
"""Shares of incoming images expected to be damaged, and of no known class; chosen by what they cost on clean images
(at most 2 % E-AURC on digits, solar cells and CIFAR-10) and save on the others, see `experiments/`."""
MC_PASSES = 30
BATCH_SIZE = 32
WORKERS = 2
"""Threads that decode images."""
DRAFT = 2
"""How many times the pixels that are needed, on each side, a large JPEG keeps while it is decoded; 0: all of them."""
CASCADE_LOSS = 0.01
"""Share of E-AURC that a cascade may lose against full evidence on every image."""
FEW_PASSES = 3.0
"""Dropout sub-networks belong to a fast look where they cost at most so many passes of the network, all together."""
EXPLORE = 0.1
"""Share of the images in a review that is drawn evenly from all, so that their labels speak for all."""
STOP_BELOW = 0.05
"""Share of errors from which on looking at an image is worth it."""
LEASE = 600.0
"""Seconds after which an image that nobody answered goes to somebody else."""
REPORT_IMAGES = 2000  # in the gallery of a report; more make a page that is slow to open
