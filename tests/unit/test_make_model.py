import json

import pytest

import make_model
from openmath.corpora import load_prompts
from openmath.prompts import Prompt, Template
from openmath.records import file_sha256
from openmath.small_models import chat_template, special_tokens


def make(folder, root, *options):
    make_model.main(
        [
            *("--folder", str(folder), "--manifest", str(folder / "manifest.json")),
            *("--prompts-folder", str(root / "resources/prompts/brief")),
            *("--template", str(root / "resources/templates/brief.yaml")),
            *("--seed", "1", "--hidden-size", "16", "--heads", "2", "--intermediate-size", "32", "--vocabulary", "420"),
            *options,
        ]
    )
    return folder


@pytest.fixture(scope="module")
def untrained(tmp_path_factory, root):
    return make(tmp_path_factory.mktemp("models") / "hf", root, "--corpus", "none")


@pytest.fixture(scope="module")
def tokenizer(untrained):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(untrained)


def test_the_folder_loads_and_its_manifest_names_every_file(untrained):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(untrained)
    assert model.config.tie_word_embeddings
    manifest = json.loads((untrained / "manifest.json").read_text())
    assert set(manifest["files"]) == {path.name for path in untrained.glob("[!.]*")} - {"manifest.json"}
    assert manifest["files"]["model.safetensors"] == file_sha256(untrained / "model.safetensors")


def test_generation_ends_at_the_end_of_a_turn(untrained, tokenizer):
    settings = json.loads((untrained / "generation_config.json").read_text())
    assert settings["eos_token_id"] == tokenizer.convert_tokens_to_ids("<|end|>") == tokenizer.eos_token_id


@pytest.mark.parametrize("text", ["True", "False", "<|end|>", "<|assistant|>", "<|bos|>"])
def test_answers_and_special_tokens_are_one_token(tokenizer, text):
    assert len(tokenizer.encode(text, add_special_tokens=False)) == 1


def test_digits_stand_alone_and_any_text_comes_back_as_it_was(tokenizer):
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]
    text = "Äther \\boxed{\\frac{1}{2}} \n 漢字 <|user|>"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("task", ["solve", "invent"])
def test_the_chat_template_renders_what_the_prompt_renders(tokenizer, root, task):
    rendered = load_prompts(root / "resources/prompts/brief", root / "resources/templates/brief.yaml")[task]
    messages = Prompt.load(root / f"resources/prompts/brief/{task}.yaml").render({"problem": "1 + 1?"})
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == rendered.render(
        {"problem": "1 + 1?"}
    )


def test_the_chat_template_keeps_the_system_wrapper_where_a_model_has_one():
    from jinja2 import Template as Jinja

    template = Template("<b>", "<s>", "</s>", "<u>", "</u>", "<a>", "</a>", ("</a>",))
    chat = Jinja(chat_template(template))
    user = {"role": "user", "content": "Q"}
    assert chat.render(messages=[user], add_generation_prompt=True) == template.wrap("", "Q")
    system = {"role": "system", "content": "S"}
    assert chat.render(messages=[system, user], add_generation_prompt=True) == template.wrap("S", "Q")
    answered = chat.render(messages=[user, {"role": "assistant", "content": "A"}], add_generation_prompt=False)
    assert answered == template.wrap("", "Q") + "A</a>"


def test_special_tokens_are_those_of_the_template(root):
    template = Template.load(root / "resources/templates/brief.yaml")
    assert special_tokens(template) == ["<|pad|>", "<|bos|>", "<|user|>", "<|end|>", "<|assistant|>"]


@pytest.mark.parametrize("corpus", ["tutor", "checker"])
def test_a_corpus_changes_the_weights_and_never_the_tokenizer_and_repeats_to_the_byte(
    tmp_path, root, untrained, corpus
):
    options = ("--corpus", corpus, "--steps", "2", "--rows", "40", "--batch-size", "4", "--warmup-steps", "1")
    first = make(tmp_path / "first", root, *options)
    again = make(tmp_path / "again", root, *options)
    assert (first / "manifest.json").read_bytes() == (again / "manifest.json").read_bytes()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert file_sha256(first / name) == file_sha256(untrained / name)
    assert file_sha256(first / "model.safetensors") != file_sha256(untrained / "model.safetensors")


def test_the_manifest_must_stand_in_the_folder(tmp_path, root, capsys):
    with pytest.raises(SystemExit):
        make(tmp_path / "hf", root, "--corpus", "none", "--manifest", str(tmp_path / "manifest.json"))
    assert "--manifest must be manifest.json in --folder" in capsys.readouterr().err
