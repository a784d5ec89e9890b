"""Network B: two convolutional layers of 16 channels on MNIST.

    sequester run programs/mnist_two_conv.py --protocol rep3 \
        --input 0:train=programs/data --input 0:test=programs/data

A smaller LeNet (`mnist_lenet.py`): a third of its work. What anybody learns is printed: the mean
loss and the test accuracy of each epoch. The model is only given out with `--save`, and only to
party 0.

Inputs, each from one party or, in parts of its rows, from several:
    train.x, test.x: pictures (n, 1, 28, 28) with values in [0, 1].
    train.y, test.y: labels 0..9, shape (n,), or one-hot rows (n, 10).
    with --load also 0:model.0.weight and so on, as another run with --save wrote them.

Expected output with the sample in programs/data, one epoch: a mean loss of about 0.5 and a test
accuracy of about 93 %.
"""

from sequester import Parties, Party, nn, output, program


def network() -> nn.Module:
    # Pooling before ReLU gives the same values with a quarter of ReLU's comparisons.
    return nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(16, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


@program
def two_conv(
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
