"""AlexNet for CIFAR-10 with small kernels: five convolutional and three dense layers.

    sequester run programs/cifar_small_alexnet.py --protocol rep3 \
        --input 0:train=TRAIN.npz --input 0:test=TEST.npz

Each archive has `x` and `y`. What anybody learns is printed: the mean loss and the test accuracy of
each epoch. The model is only given out with `--save`, and only to party 0. `--batch-norm` and
`--dropout 0.5` give the variants.

Inputs:
    0:train.x, 0:test.x: pictures (n, 3, 32, 32) with values in [0, 1].
    0:train.y, 0:test.y: labels 0..9, shape (n,).
    with --load also 0:model.0.weight and so on, as another run with --save wrote them.
"""

from sequester import Party, nn, output, program


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
    batch_norm: bool = False,
    dropout: float = 0.0,
    test_batch: int = 100,
    watch: bool = False,
    load: bool = False,
    save: bool = False,
):
    train, test = Party(0).dataset("train"), Party(0).dataset("test")
    model = network(batch_norm, dropout)
    if load:
        model.load(Party(0), "model")
    opt = nn.optimizer_named(optimizer, model.parameters(), lr, momentum)
    nn.fit(
        model, train, opt, schedule=schedule, epochs=epochs, batch=batch, classes=10,
        test=test, test_batch=test_batch, watch=watch,
    )  # fmt: skip
    if save:
        output("model", model, to=Party(0))
