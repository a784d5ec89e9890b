"""Network D: one convolution with stride 2 in place of pooling, on MNIST.

    sequester run programs/mnist_strided.py --protocol rep3 \
        --input 0:train=programs/data --input 0:test=programs/data

What anybody learns is printed: the mean loss and the test accuracy of each epoch. The model is only
given out with `--save`, and only to party 0.

Inputs, each from one party or, in parts of its rows, from several:
    train.x, test.x: pictures (n, 1, 28, 28) with values in [0, 1].
    train.y, test.y: labels 0..9, shape (n,), or one-hot rows (n, 10).
    with --load also 0:model.0.weight and so on, as another run with --save wrote them.

Expected output with the sample in programs/data, one epoch: a mean loss of about 0.5 and a test
accuracy of about 92 %.
"""

from sequester import Parties, Party, nn, output, program


def network() -> nn.Module:
    # A stride of 2 takes the place of pooling: no maxima, a comparison only for each ReLU.
    return nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=2, padding=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(980, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


@program
def strided(
    epochs: int = 1,
    batch: int = 32,
    optimizer: str = "sgd",
    lr: float = 0.05,
    momentum: float = 0.9,
    schedule: str = "constant",
    shuffle: str = "public",
    test_batch: int = 100,
    watch: bool = False,
    load: bool = False,
    save: bool = False,
):
    train, test = Parties().dataset("train"), Parties().dataset("test")
    model = network()
    if load:
        model.load(Party(0), "model")
    opt = nn.optimizer_named(optimizer, model.parameters(), lr, momentum)
    nn.fit(
        model, train, opt, schedule=schedule, epochs=epochs, batch=batch, shuffle=shuffle,
        classes=10, test=test, test_batch=test_batch, watch=watch,
    )  # fmt: skip
    if save:
        output("model", model, to=Party(0))
