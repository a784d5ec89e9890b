"""Network C, LeNet: train two convolutional and two dense layers on MNIST, and test them.

    sequester run programs/mnist_lenet.py --protocol rep3 \
        --input 0:train=programs/data --input 0:test=programs/data

One party brings both data sets here. With `--input 1:test=...` another one tests on its pictures,
and with `--input 0:train=... --input 1:train=...` both train one model, and neither shows its
pictures to the other. What anybody learns is printed: the mean loss and the test accuracy of each
epoch. The model is only given out with `--save`, and only to party 0.

Inputs, each from one party or, in parts of its rows, from several:
    train.x, test.x: pictures (n, 1, 28, 28) with values in [0, 1].
    train.y, test.y: labels 0..9, shape (n,), or one-hot rows (n, 10).
    with --load also 0:model.0.weight and so on, as another run with --save wrote them.

Expected output with the sample in programs/data, one epoch: a mean loss of about 0.43 and a test
accuracy of about 95 %.
"""

from sequester import Parties, Party, nn, output, program


def network(dropout: float = 0.0) -> nn.Module:
    # Pooling before ReLU gives the same values with a quarter of ReLU's comparisons.
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(500, 10),
    )  # fmt: skip


@program
def lenet(
    epochs: int = 1,
    batch: int = 32,
    optimizer: str = "sgd",
    lr: float = 0.05,
    momentum: float = 0.9,
    schedule: str = "constant",
    shuffle: str = "public",
    dropout: float = 0.0,
    test_batch: int = 100,
    watch: bool = False,
    load: bool = False,
    save: bool = False,
):
    train, test = Parties().dataset("train"), Parties().dataset("test")
    model = network(dropout)
    if load:
        model.load(Party(0), "model")
    opt = nn.optimizer_named(optimizer, model.parameters(), lr, momentum)
    nn.fit(
        model, train, opt, schedule=schedule, epochs=epochs, batch=batch, shuffle=shuffle,
        classes=10, test=test, test_batch=test_batch, watch=watch,
    )  # fmt: skip
    if save:
        output("model", model, to=Party(0))
