"""Logistic regression over the data of several parties that may not show them to each other.

    sequester run programs/logistic_regression.py --protocol rep3 \
        --input 0:data=hospital0.npz --input 1:data=hospital1.npz

Here both parties hold the same columns of different people (a "horizontal" partition). If they hold
different columns of the same people, in the same order, and one of them the labels ("vertical"):

    sequester run programs/logistic_regression.py --protocol rep3 --split columns \
        --input 0:data.x=bank.csv --input 1:data=shop.npz

The model is trained by full-batch gradient descent, so nothing about single rows steers what is
printed, and is revealed to all at the end, with its accuracy on the training rows. `--normalise`
first brings every column to mean 0 and deviation 1, by statistics that stay secret.

Inputs, from any number of parties:
    data.x: (n, d) numbers, of about unit size.
    data.y: (n,) labels 0 or 1.

Outputs: `weight` (d, 1) and `bias` (1,), to all. Prints "accuracy P %", with `--watch` the loss of
each step, too.
"""

from sequester import Parties, loop, nn, optim, output, print_, program


@program
def logistic_regression(
    steps: int = 50,
    lr: float = 1.0,
    momentum: float = 0.0,
    split: str = "rows",
    normalise: bool = False,
    watch: bool = False,
):
    x, y = Parties().dataset("data", split)
    n, d = x.shape
    if normalise:
        x = nn.transforms.Normalize.measured(x)(x)

    model = nn.Linear(d, 1)
    opt = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for step in loop(steps):
        logits = model(x).reshape(n)
        loss = nn.binary_cross_entropy_with_logits(logits, y)
        opt.minimize(loss)
        if watch:
            print_("step {}: loss {:.4f}", step, loss.reveal())

    predicted = model(x).reshape(n) > 0
    correct = (predicted == y).sum()
    print_("accuracy {:.2f} %", correct.reveal() * (100.0 / n))
    output("weight", model.weight.T)
    output("bias", model.bias)
