"""AlexNet for CIFAR-10: five convolutional and three dense layers, with overlapping pools.

    sequester run programs/cifar_alexnet.py --protocol rep3 \
        --input 0:train=FOLDER --input 0:test=FOLDER

FOLDER holds CIFAR-10's batches; an archive with `x` and `y` does, too. What anybody learns is
printed: the mean loss and the test accuracy of each epoch. The model is only given out with
`--save`, and only to party 0. `--batch-norm` and `--dropout 0.5` give the variants; `--augment
public` mirrors and moves pictures, `--augment secret` so that nobody knows which and how far.

Inputs, each from one party or, in parts of its rows, from several:
    train.x, test.x: pictures (n, 3, 32, 32) with values in [0, 1].
    train.y, test.y: labels 0..9, shape (n,), or one-hot rows (n, 10).
    with --load also 0:model.0.weight and so on, as another run with --save wrote them.
"""

from sequester import Parties, Party, nn, output, program


def network(batch_norm: bool = False, dropout: float = 0.0) -> nn.Module:
    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()

    # Pooling before ReLU gives the same values with fewer comparisons.
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=9), nn.MaxPool2d(3, stride=2), nn.ReLU(), norm(96),
        nn.Conv2d(96, 256, 5, padding=1), nn.MaxPool2d(2, stride=1), nn.ReLU(), norm(256),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(256, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, 10),
    )  # fmt: skip


@program
def alexnet(
    epochs: int = 1,
    batch: int = 32,
    optimizer: str = "sgd",
    lr: float = 0.05,
    momentum: float = 0.9,
    schedule: str = "constant",
    shuffle: str = "public",
    augment: str = "none",
    batch_norm: bool = False,
    dropout: float = 0.0,
    test_batch: int = 100,
    watch: bool = False,
    load: bool = False,
    save: bool = False,
):
    train, test = Parties().dataset("train"), Parties().dataset("test")
    model = network(batch_norm, dropout)
    if load:
        model.load(Party(0), "model")
    opt = nn.optimizer_named(optimizer, model.parameters(), lr, momentum)
    nn.fit(
        model, train, opt, schedule=schedule, epochs=epochs, batch=batch, shuffle=shuffle,
        augment=nn.augmentation_named(augment, 32), classes=10,
        test=test, test_batch=test_batch, watch=watch,
    )  # fmt: skip
    if save:
        output("model", model, to=Party(0))
