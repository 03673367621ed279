# limit: 300 s
"""Checkpoints against transformers: they load without a missing or unexpected key, give our logits and our token ids, and weights of
Hugging Face come through --init-from unchanged, whatever form they are stored in."""
import json, os, shutil, subprocess, sys, tempfile, warnings
import numpy as np
import torch
warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
transformers.utils.logging.disable_progress_bar()
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification,
                          BertModel, BertTokenizer, BertTokenizerFast)

build = os.environ["BUILD"]
tool = [os.environ["MPIRUN"], "-np", "1", f"{build}/tests/tools/checkpoint"]
old_transformers = int(transformers.__version__.split(".")[0]) < 5
folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
failed = 0


def check(good, what):
    global failed
    if not good:
        failed += 1
        print("FAILED:", what)


def run(*args, code=0, words=()):
    r = subprocess.run([*tool, *args], capture_output=True)
    check(r.returncode == code, f"{args[0]} {args[1]}: exit {r.returncode}, expected {code}: {r.stderr.decode()[-600:]}")
    for word in words:
        check(word in r.stderr.decode(), f"{args[0]} {args[1]}: {word!r} is not in {r.stderr.decode()[:600]!r}")
    return r


def path(name):
    return os.path.join(folder, name)


def files_of(checkpoint):
    return {f: open(os.path.join(checkpoint, f), "rb").read() for f in sorted(os.listdir(checkpoint))}


words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sat", "on", '"', "\\", "/", "<", "\u00e9", "\u2028a", "\U0001f600",
         "caf", "##\u00e9", "a", "b", "##c", ".", ",", "!", "The", "\u4e2d", "##ing", "mat", "run", "##ning"]
words += [f"w{i}" for i in range(70)]
text = ["The cats sat on the mat.", "running caf\u00e9 [MASK] the \u4e2d\u4e2d", 'a "quoted" \\ <b> \U0001f600', "abc [SEP] [PAD] cat, cat!", "Caf\u00e9 THE The"]


def vocabulary(name, tokens):
    with open(path(name), "w", encoding="utf-8", newline="\n") as f:
        f.write("".join(t + "\n" for t in tokens))
    return path(name)


def config_file(name, **changes):
    c = dict(model_type="bert", hidden_act="gelu", hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=100,
             max_position_embeddings=64, type_vocab_size=2, layer_norm_eps=1e-12, initializer_range=0.02, hidden_dropout_prob=0.1,
             attention_probs_dropout_prob=0.1)
    c.update(changes)
    with open(path(name), "w") as f:
        json.dump(c, f)
    return path(name)


def clean(info, what):
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        check(not info.get(key), f"{what}: {key}: {info.get(key)}")


def check_logits(checkpoint, cls=BertForPreTraining):
    model, info = cls.from_pretrained(checkpoint, output_loading_info=True)
    clean(info, checkpoint)
    model = model.eval().double()
    ids = [2, 5, 6, 7, 4, 0, 9, 28, 22, 30, 3]
    ours = np.frombuffer(run("logits", checkpoint, " ".join(map(str, ids))).stdout, np.float32)
    with torch.no_grad():
        out = model(torch.tensor([ids]))
    theirs = np.concatenate([out.prediction_logits.numpy().ravel(), out.seq_relationship_logits.numpy().ravel()])
    check(ours.size == theirs.size, f"logits: {ours.size} of ours, {theirs.size} of theirs")
    if ours.size == theirs.size:
        worst = np.abs(ours - theirs).max()
        check(worst < 1e-4, f"{checkpoint}: logits differ by {worst}; they reach {np.abs(theirs).max()}")
    return model


def bert_ids(vocab_args, line):
    r = subprocess.run([f"{build}/bert-inspect", "--tokenize", *vocab_args], input=(line + "\n").encode(), capture_output=True)
    return [int(i) for i in r.stdout.split()] if r.returncode == 0 else None


def check_tokenizers(checkpoint, vocab, cased):
    kinds = [("AutoTokenizer", AutoTokenizer.from_pretrained(checkpoint)), ("BertTokenizerFast", BertTokenizerFast.from_pretrained(checkpoint))]
    if old_transformers:
        kinds.append(("BertTokenizer", BertTokenizer.from_pretrained(checkpoint)))
    reference = BertTokenizerFast(vocab_file=vocab, do_lower_case=not cased, model_max_length=64) if old_transformers else kinds[1][1]
    for name, t in kinds:
        check(t.model_max_length == 64, f"{name}: model_max_length {t.model_max_length}")
        check((t.pad_token_id, t.mask_token, t.cls_token) == (0, "[MASK]", "[CLS]"), f"{name}: special tokens")
        for line in text:
            got, expected = t(line)["input_ids"], reference(line)["input_ids"]
            check(got == expected, f"{name}, {line!r}: {got}, expected {expected}")
            if os.path.exists(f"{build}/bert-inspect"):
                ours = bert_ids(["--vocab", vocab, *(["--cased"] if cased else []), "-"], line)
                check(ours == t(line, add_special_tokens=False)["input_ids"], f"bert-inspect, {line!r}: {ours}, {name} {got}")
    if old_transformers:   # the layout that this release writes
        saved = path("saved-tokenizer")
        shutil.rmtree(saved, ignore_errors=True)
        reference.save_pretrained(saved)
        for name in ("tokenizer.json",):
            theirs, ours = open(f"{saved}/{name}", "rb").read(), open(f"{checkpoint}/{name}", "rb").read()
            check(theirs.rstrip() == ours.rstrip(), f"{name} differs from what `tokenizers` saves")
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            theirs, ours = json.load(open(f"{saved}/{name}")), json.load(open(f"{checkpoint}/{name}"))
            for key in ours:
                check(ours[key] == theirs.get(key), f"{name}: {key}: {ours[key]}, expected {theirs.get(key)}")


def made_here():
    for cased in (False, True):
        kind = "cased" if cased else "uncased"
        vocab = vocabulary(f"vocab-{kind}.txt", words)
        run("make", config_file("config.json"), vocab, path(f"run-{kind}"), kind)
        checkpoint = path(f"run-{kind}/checkpoint-0000003")
        model = check_logits(checkpoint)
        check_tokenizers(checkpoint, vocab, cased)
        card = open(f"{checkpoint}/README.md", encoding="utf-8").read()
        check(card.startswith("---\n") and "library_name: transformers" in card.split("---")[1], "README.md has no YAML front matter")
    tensors = load_file(f"{checkpoint}/model.safetensors")
    check(sum(t.numel() for t in tensors.values()) == sum(p.numel() for p in model.parameters()), "parameters differ in number")
    model.float().save_pretrained(path("resaved"))   # what transformers writes of the same weights: the same bytes
    ours, theirs = open(f"{checkpoint}/model.safetensors", "rb").read(), open(path("resaved/model.safetensors"), "rb").read()
    check(ours == theirs, "model.safetensors differs from what save_pretrained writes of the same weights")
    for cls in (BertForMaskedLM, AutoModelForMaskedLM):
        _, info = cls.from_pretrained(checkpoint, output_loading_info=True)
        check(not info["missing_keys"] and not info["mismatched_keys"], f"{cls.__name__}: {info}")
        check(all(k.startswith(("bert.pooler.", "cls.seq_relationship.")) for k in info["unexpected_keys"]), f"{cls.__name__}: {info}")
    classifier, info = BertForSequenceClassification.from_pretrained(checkpoint, num_labels=3, output_loading_info=True)
    check(sorted(info["missing_keys"]) == ["classifier.bias", "classifier.weight"] and not info["mismatched_keys"], f"classifier: {info}")
    torch.nn.functional.cross_entropy(classifier(torch.tensor([[2, 5, 3]])).logits, torch.tensor([1])).backward()
    smaller = path("run-padded")
    run("make", config_file("padded.json", vocab_size=len(words) + 11), vocab, smaller, "cased")
    check_logits(f"{smaller}/checkpoint-0000003")


def hugging_face():
    torch.manual_seed(1)
    c = BertConfig(vocab_size=len(words), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=100, max_position_embeddings=64)
    model = BertForPreTraining(c)
    for name, p in model.named_parameters():
        p.data += 0.05 * torch.randn_like(p)
    model.save_pretrained(path("hf"))
    whole = load_file(path("hf/model.safetensors"))
    vocab = vocabulary("vocab.txt", words)

    def store(name, tensors, files=1, source="hf"):
        os.makedirs(path(name))
        shutil.copy(path(f"{source}/config.json"), path(name))
        if files == 1:
            save_file(tensors, path(f"{name}/model.safetensors"), metadata={"format": "pt"})
            return
        names, weight_map = sorted(tensors), {}
        for i in range(files):
            part, file = names[i::files], f"model-{i + 1:05d}-of-{files:05d}.safetensors"
            save_file({k: tensors[k] for k in part}, path(f"{name}/{file}"), metadata={"format": "pt"})
            weight_map.update({k: file for k in part})
        json.dump({"metadata": {}, "weight_map": weight_map}, open(path(f"{name}/model.safetensors.index.json"), "w"))

    def same(name, expected, missing=(), words=()):
        run("init", path(name), vocab, path(f"run-{name}"), words=words)
        got = load_file(path(f"run-{name}/checkpoint-0000000/model.safetensors"))
        check(set(got) == set(whole), f"{name}: other tensors: {set(got) ^ set(whole)}")
        for key in whole:
            if key in missing or key not in got:
                continue
            check(torch.equal(got[key], expected[key].float()), f"{name}: {key} differs by {(got[key] - expected[key].float()).abs().max()}")

    heads = [k for k in whole if k.startswith("cls.")]
    pooler = [k for k in whole if k.startswith("bert.pooler.")]
    same("hf", whole)
    check_logits(path("run-hf/checkpoint-0000000"))
    check_logits(path("hf"))
    model.bert.save_pretrained(path("bare"))
    same("bare", whole, heads, ["initialised anew", "cls.predictions.bias"])
    BertForMaskedLM.from_pretrained(path("hf")).save_pretrained(path("mlm"))
    same("mlm", whole, pooler + [k for k in heads if "seq_relationship" in k], ["bert.pooler.dense.weight", "cls.seq_relationship.bias"])
    for dtype in (torch.float16, torch.bfloat16):
        low = {k: v.to(dtype) for k, v in whole.items()}
        store(str(dtype)[6:], low)
        same(str(dtype)[6:], low)
    store("sharded", whole, files=3)
    same("sharded", whole)
    gamma = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k, v in whole.items()}
    gamma["bert.embeddings.position_ids"] = torch.arange(64)[None]
    gamma["cls.predictions.decoder.weight"] = whole["bert.embeddings.word_embeddings.weight"].clone()
    gamma["cls.predictions.decoder.bias"] = gamma.pop("cls.predictions.bias")
    gamma["classifier.weight"] = torch.zeros(2, 48)
    store("gamma", gamma)
    same("gamma", whole, words=["not used: classifier.weight"])
    untied = dict(whole) | {"cls.predictions.decoder.weight": whole["bert.embeddings.word_embeddings.weight"] + 1}
    store("untied", untied)
    same("untied", whole, words=["differs from the word embeddings"])

    store("lacking", {k: v for k, v in whole.items() if k != "bert.encoder.layer.1.output.dense.weight"})
    run("init", path("lacking"), vocab, path("run-lacking"), code=2, words=["bert.encoder.layer.1.output.dense.weight"])
    store("shape", dict(whole) | {"bert.pooler.dense.weight": torch.zeros(48, 47)})
    run("init", path("shape"), vocab, path("run-shape"), code=2, words=["bert.pooler.dense.weight is 48 x 47, the model needs 48 x 48"])
    store("double", {k: v.double() for k, v in whole.items()})
    run("init", path("double"), vocab, path("run-double"), code=2, words=["F64", "BF16"])
    store("twice", whole, files=2)
    save_file(whole, path("twice/model-00001-of-00002.safetensors"), metadata={"format": "pt"})
    run("init", path("twice"), vocab, path("run-twice"), code=2, words=["is also in"])
    os.makedirs(path("pickled"))
    shutil.copy(path("hf/config.json"), path("pickled"))
    torch.save(whole, path("pickled/pytorch_model.bin"))
    run("init", path("pickled"), vocab, path("run-pickled"), code=2, words=["pytorch_model.bin", "save_pretrained"])
    run("logits", path("bare"), "2 3", code=2, words=["masked-language head"])
    damaged = path("run-hf/checkpoint-0000000")
    with open(f"{damaged}/model.safetensors", "r+b") as f:
        f.seek(-3, 2), f.write(b"\x01")
    run("logits", damaged, "2 3", code=5, words=["SHA-256"])
    run("init", damaged, vocab, path("run-damaged"), code=5)


def fill():
    """bert-fill's words and probabilities against transformers."""
    vocab, checkpoint = path("vocab-uncased.txt"), path("run-uncased/checkpoint-0000003")
    tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), BertForMaskedLM.from_pretrained(checkpoint).eval().double()
    line = "The [MASK] sat on the [MASK], caf\u00e9."
    r = subprocess.run([f"{build}/bert-fill", "--checkpoint", checkpoint, "--top", "3", line], capture_output=True, text=True)
    check(r.returncode == 0, f"bert-fill: exit {r.returncode}: {r.stderr}")
    ids = tokenizer(line, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        p = torch.softmax(model(ids).logits[0][ids[0] == tokenizer.mask_token_id], -1)
    for k, row in enumerate(p):
        top = torch.topk(row, 3)
        wanted = f"  [MASK] {k + 1}:" + "".join(f"  {tokenizer.convert_ids_to_tokens(int(i))} {v:.4f}" for v, i in zip(top.values, top.indices))
        check(wanted in r.stdout, f"bert-fill printed {r.stdout!r}, expected the line {wanted!r}")


made_here()
hugging_face()
fill()
shutil.rmtree(folder)
print("transformers", transformers.__version__, "FAILED" if failed else "as expected")
sys.exit(failed != 0)
