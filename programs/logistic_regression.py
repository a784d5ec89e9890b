"""Logistic regression over the rows of two parties that may not show them to each other.

    sequester run programs/logistic_regression.py --protocol rep3 \
        --input 0:data=hospital0.npz --input 1:data=hospital1.npz

Both parties hold the same columns of different people ("horizontal" partition). The model is
trained by full-batch gradient descent, so nothing about single rows steers what is printed, and is
revealed to both parties at the end, with its accuracy on the training rows.

Inputs:
    0:data.x, 1:data.x: (n, d) numbers, of about unit size.
    0:data.y, 1:data.y: (n,) labels 0 or 1.

Outputs: `weight` (d, 1) and `bias` (1,), to all. Prints "accuracy P %".
"""

from sequester import Party, concat, loop, nn, optim, output, print_, program


@program
def logistic_regression(steps: int = 50, lr: float = 1.0, momentum: float = 0.0):
    x0, y0 = Party(0).dataset("data")
    x1, y1 = Party(1).dataset("data")
    x, y = concat([x0, x1]), concat([y0, y1])
    n, d = x.shape

    model = nn.Linear(d, 1)
    opt = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for _ in loop(steps):
        logits = model(x).reshape(n)
        opt.minimize(nn.binary_cross_entropy_with_logits(logits, y))

    predicted = model(x).reshape(n) > 0
    correct = (predicted == y).sum()
    print_("accuracy {:.2f} %", correct.reveal() * (100.0 / n))
    output("weight", model.weight.T)
    output("bias", model.bias)
