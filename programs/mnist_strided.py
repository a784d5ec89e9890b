"""Network D: one convolution with stride 2 in place of pooling, on MNIST.

    sequester run programs/mnist_strided.py --protocol rep3 \
        --input 0:train=programs/data --input 0:test=programs/data

What anybody learns is printed.

Inputs:
    0:train.x, 0:test.x: pictures (n, 1, 28, 28) with values in [0, 1].
    0:train.y, 0:test.y: labels 0..9, shape (n,).

Expected output with the sample in programs/data, one epoch: a mean loss of about 0.5 and a test
accuracy of about 92 %.
"""

from sequester import Party, loop, nn, optim, output, print_, program


@program
def strided(
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

    # A stride of 2 takes the place of pooling: no maxima, a comparison only for each ReLU.
    model = nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=2, padding=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(980, 100), nn.ReLU(), nn.Linear(100, 10),
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
