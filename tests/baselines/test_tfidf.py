"""The TF-IDF baseline, on a toy and on UCI's messages."""

import zipfile

from scratchlm.baselines.tfidf import fit_tfidf, predict_tfidf
from scratchlm.datasets.sms_spam import ReadConfig, SplitConfig, read_sms_spam, split_sms_spam

SPAM = [f"WIN a FREE prize number {n}, call now!!!" for n in range(20)]
HAM = [f"see you at {n} then, I am on the bus" for n in range(20)]


def test_probabilities_are_those_of_spam():
    classifier = fit_tfidf(
        SPAM[:15] + HAM[:15], [True] * 15 + [False] * 15, SPAM[15:] + HAM[15:], [True] * 5 + [False] * 5
    )
    probabilities = predict_tfidf(classifier, ["free prize, call!", "on the bus, see you"])
    assert probabilities[0] > 0.9
    assert probabilities[1] < 0.1
    assert predict_tfidf(classifier, []) == []


def test_it_reaches_what_the_design_says_on_ucis_messages(mirror, tmp_path):
    archive = mirror / "archive.ics.uci.edu/static/public/228/sms+spam+collection.zip"
    with zipfile.ZipFile(archive) as members:
        (tmp_path / "sms_spam.tsv").write_bytes(members.read("SMSSpamCollection"))
    messages = read_sms_spam(tmp_path / "sms_spam.tsv", ReadConfig(separator="tab", quoting="none", columns=None))
    config = SplitConfig(
        seed=0, group_by="normalized", balance="undersample", split="stratified", train_fraction=0.7, val_fraction=0.1
    )
    splits, _ = split_sms_spam(messages, config)
    texts = {name: split["text"].tolist() for name, split in splits.items()}
    spam = {name: (split["label"] == "spam").tolist() for name, split in splits.items()}
    probabilities = predict_tfidf(fit_tfidf(texts["train"], spam["train"], texts["val"], spam["val"]), texts["test"])
    accuracy = sum((p >= 0.5) == is_spam for p, is_spam in zip(probabilities, spam["test"], strict=True)) / len(
        probabilities
    )
    assert 0.955 < accuracy < 0.995  # 97.7 % on average over ten seeds, standard deviation 0.6
