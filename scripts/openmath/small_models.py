"""A small Llama and its tokenizer, made from nothing: the models of the miniature before they have learnt anything.

The tokenizer is a byte-level BPE that takes digits one by one and knows the special tokens of a template. It is
trained on one fixed draw of all corpora, so every model of the miniature has the same one, whatever it is taught, and a
student can read what a teacher wrote.
"""

import json
import re
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from openmath.corpora import CORPORA
from openmath.prompts import Prompt, Template
from openmath.records import derive_seed
from openmath.training import share_permissions

PAD = "<|pad|>"
_TEXTS_PER_CORPUS = 2000
# A digit; a word with the space before it, and with the one after it if a digit follows; anything else.
_PIECES = r"\d| ?[A-Za-z]+(?: (?=\d))?|[^\sA-Za-z\d]+ ?|\s+"


def special_tokens(template: Template) -> list[str]:
    """The padding token, then every text of the template, each once, in the order of the rendered prompt."""
    texts = (
        template.text_begin,
        template.system_begin,
        template.system_end,
        template.user_begin,
        template.user_end,
        template.assistant_begin,
        template.assistant_end,
    )
    return list(dict.fromkeys([PAD, *(text for text in texts if text)]))


def chat_template(template: Template) -> str:
    """A Jinja chat template that renders messages to the text that ``Template.wrap`` gives."""

    def quoted(text: str) -> str:
        return "{{ " + json.dumps(text) + " }}"

    return (
        quoted(template.text_begin + template.system_begin)
        + "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}"
        + quoted(template.system_end)
        + "{% for message in messages %}{% if message.role == 'user' %}"
        + quoted(template.user_begin)
        + "{{ message.content }}"
        + quoted(template.user_end)
        + "{% elif message.role == 'assistant' %}"
        + quoted(template.assistant_begin)
        + "{{ message.content }}"
        + quoted(template.assistant_end)
        + "{% endif %}{% endfor %}{% if add_generation_prompt %}"
        + quoted(template.assistant_begin)
        + "{% endif %}"
    )


def train_tokenizer(prompts: dict[str, Prompt], template: Template, vocabulary: int) -> Any:
    """Train the tokenizer on a fixed draw of every corpus; equal arguments give an equal tokenizer.

    Returns:
        A ``transformers.PreTrainedTokenizerFast`` with at most ``vocabulary`` entries.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    specials = special_tokens(template)
    between = re.compile("|".join(re.escape(special) for special in specials))
    texts = [
        part
        for name, corpus in CORPORA.items()
        for row in islice(corpus(Random(derive_seed("tokenizer", name)), prompts), _TEXTS_PER_CORPUS)
        for part in between.split(row["input"] + row["output"])
        if part
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=template.text_begin,
        eos_token=template.assistant_end,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = chat_template(template)
    return fast


def untrained_llama(
    tokenizer: Any, seed: int, hidden_size: int, layers: int, heads: int, intermediate_size: int, context_length: int
) -> Any:
    """A ``LlamaForCausalLM`` with tied embeddings and random fp32 weights that follow from ``seed``."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=context_length,
        tie_word_embeddings=True,
        initializer_range=0.05,
        **ends,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**ends)
    return model


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights, configuration and tokenizer in the layout of the Hugging Face hub."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    share_permissions(folder)
