"""AlexNet for CIFAR-10: five convolutional and three dense layers, with overlapping pools.

    sequester run programs/cifar_alexnet.py --protocol rep3 \
        --input 0:train=TRAIN.npz --input 0:test=TEST.npz

Each archive has `x` and `y`. What anybody learns is printed.

Inputs:
    0:train.x, 0:test.x: pictures (n, 3, 32, 32) with values in [0, 1].
    0:train.y, 0:test.y: labels 0..9, shape (n,).
"""

from sequester import Party, loop, nn, optim, output, print_, program


@program
def alexnet(
    epochs: int = 1,
    batch: int = 32,
    lr: float = 0.05,
    momentum: float = 0.9,
    watch: bool = False,
    save: bool = False,
):
    train_x, train_y = Party(0).dataset("train")
    test_x, test_y = Party(0).dataset("test")
    # Labels become one-hot rows once, not in every batch of every epoch.
    train_y = nn.one_hot(train_y, 10)

    model = nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=9), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, 5, padding=1), nn.ReLU(), nn.MaxPool2d(2, stride=1),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 256), nn.ReLU(),
        nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10),
    )  # fmt: skip
    opt = optim.SGD(model.parameters(), lr=lr, momentum=momentum)

    for epoch in loop(epochs):
        total = loop.accumulator(0.0)
        batches = loop.batches(train_x, train_y, batch=batch, shuffle=True, drop_last=True)
        for xb, yb in batches:
            loss = nn.cross_entropy(model(xb), yb)
            opt.minimize(loss)
            total += loss
            if watch:
                print_("epoch {}: loss {:.4f}", epoch, loss.reveal())
        print_("epoch {}: mean loss {:.4f}", epoch, (total / len(batches)).reveal())

    correct = nn.evaluate(model, test_x, test_y, batch=100)
    print_("test accuracy {:.2f} %", correct.reveal() * (100.0 / test_x.shape[0]))
    if save:
        output("model", model, to=Party(0))
