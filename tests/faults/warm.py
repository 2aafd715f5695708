"""What the processes that the campaign kills have imported before they are forked."""

# The first optimizer would import it, for two seconds in each process.
import torch._dynamo  # noqa: F401

import pipeline.convert_gpt2
import pipeline.fetch_corpus
import pipeline.finetune_instruct
import pipeline.generate_responses
import pipeline.pretrain
import pipeline.shard_corpus  # noqa: F401
