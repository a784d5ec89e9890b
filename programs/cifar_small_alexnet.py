"""AlexNet for CIFAR-10 with small kernels: five convolutional and three dense layers.

    sequester run programs/cifar_small_alexnet.py --protocol rep3 \
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
    def relu_pool(channels: int, pool: nn.Module) -> tuple[nn.Module, ...]:
        # Without the normalisation between them, pooling first saves comparisons.
        if batch_norm:
            return nn.ReLU(), nn.BatchNorm2d(channels), pool
        return pool, nn.ReLU(), nn.Identity()

    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=2), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(64, 96, 3, padding=2), *relu_pool(96, nn.MaxPool2d(2)),
        nn.Conv2d(96, 96, 3, padding=1), nn.ReLU(),
        nn.Conv2d(96, 64, 3, padding=1), *relu_pool(64, nn.Identity()),
        nn.Conv2d(64, 64, 3, padding=1), *relu_pool(64, nn.MaxPool2d(3, stride=2)),
        nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(128, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, 10),
    )  # fmt: skip


@program
def small_alexnet(
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
