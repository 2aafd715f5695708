"""PyTorch's AdamW as the training loop uses it, outside of torch.compile.

What guards a compiled optimizer imports torch._dynamo, for most of a second in every process that makes one; these are
the same methods without it.
"""

import inspect

import torch


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW, which torch.compile must not look into."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
