"""Linear regression when one party holds the columns and the other the result.

    sequester run programs/linear_regression.py --protocol rep3 \
        --input 0:x=columns.csv --input 1:y=result.csv

A "vertical" partition: party 0 knows x, party 1 knows y, row by row of the same people. Neither is
revealed; the fitted line goes to both. Gradient descent with the mean squared error; x should be of
about unit size.

Inputs:
    0:x: (n, d) numbers. 1:y: (n,) numbers.

Outputs: `weight` (d,) and `bias` (1,), to all. Prints "mean squared error E", with `--watch` that
of each step, too.
"""

from sequester import Party, loop, nn, optim, output, print_, program


@program
def linear_regression(steps: int = 60, lr: float = 0.2, momentum: float = 0.5, watch: bool = False):
    x = Party(0).input("x")
    y = Party(1).input("y")
    n, d = x.shape

    model = nn.Linear(d, 1)
    opt = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for step in loop(steps):
        loss = nn.mse_loss(model(x).reshape(n), y)
        opt.minimize(loss)
        if watch:
            print_("step {}: mean squared error {:.4f}", step, loss.reveal())

    error = nn.mse_loss(model(x).reshape(n), y)
    print_("mean squared error {:.4f}", error.reveal())
    output("weight", model.weight.reshape(d))
    output("bias", model.bias)
