from dataclasses import replace

from made_up import ARCHITECTURES, RECIPE


def test_the_candidate_is_said_to_be_what_it_equals():
    assert RECIPE.candidate == "model is the candidate of params.yaml"
    same = {**ARCHITECTURES, "model": ARCHITECTURES["cnn_bilstm"]}
    assert replace(RECIPE, architectures=same).candidate.endswith("here with the architecture of cnn_bilstm")
    slower = same["model"].model_copy(update={"learning_rate": 0.05})
    at_a_rate = "with the architecture of cnn_bilstm at a learning rate of 0.05"
    assert replace(RECIPE, architectures=same | {"model": slower}).candidate.endswith(at_a_rate)
    other = slower.model_copy(update={"hidden": 7})
    plain = ARCHITECTURES["cnn"].model_copy(update={"hidden": 7, "layers": 3})
    skip = slower.model_copy(update={"skip": True})
    for model, said in ((other, "of params.yaml"), (skip, "of params.yaml"), (plain, "architecture of cnn")):
        assert replace(RECIPE, architectures=same | {"model": model}).candidate.endswith(said)


def test_the_candidate_is_called_after_what_it_equals_in_all():
    slow = ARCHITECTURES["cnn_bilstm"]
    fast = slow.model_copy(update={"learning_rate": 0.3})
    offered = {"slow": slow, "fast": fast, "later": slow, "model": fast}
    assert replace(RECIPE, architectures=offered).candidate.endswith("the architecture of fast")
