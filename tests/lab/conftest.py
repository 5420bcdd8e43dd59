"""Settings of the laboratory's tests."""

import torch

# The networks are so small that a second thread only takes time from the other test process.
torch.set_num_threads(1)
