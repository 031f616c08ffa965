# %% [markdown]
# # What did it learn: a table or a program?
#
# A recurrent network reads a binary number, first digit first, and says after every digit whether the number so far is
# divisible by three. One network saw 24 of the 256 numbers with eight digits, the other saw all of them.

# %%
import altair as alt

from allroads import Adam, Target, explore, extract, run_source
from allroads.networks.recurrent import recurrent

network = recurrent((8,), 2, vocabulary=2, per_position=True, cell="elman", width=16)


def task(train_size):
    """Whether the number so far is divisible by three, on so many of the 256 numbers."""

    def step(rest, digit):
        rest = (2 * rest + digit) % 3
        return rest, int(rest == 0)

    return Target("divisible by three", alphabet=2, length=8, step=step, initial_state=0, train_size=train_size)


# %% [markdown]
# Train both, and read the program that each computes. `extract` asks the network alone. It proves that network and
# program are equal on all 256 numbers, and compares the program with the target afterwards. The answers to 24 numbers,
# written down one by one, are 192 bits.

# %%
found = {}
for size in (24, 256):
    target = task(size)
    run = explore(target.problem(network), Adam(learning_rate=0.01), 1, steps=1500)
    found[size] = extract(network, run.end(0), target)
    program, right = found[size].program, found[size].correct
    print(f"saw {size} numbers: accuracy on them {run.curves['train_accuracy'][0, -1]:.3f}")
    print(f"  program: {'under' if program.bits < 512 else 'over'} 512 bits; {found[size].equivalence}")
    print(f"  right on all 256 numbers: {'yes' if right.equal else 'no'}")

# %% [markdown]
# The program of the second network is Python that stands alone. It is right on numbers that are far longer than eight
# digits, which no network of this length has seen.

# %%
print(found[256].program.source)
number = 3**40
digits = [int(digit) for digit in f"{number:b}"]
print(f"3^40 has {len(digits)} digits; the program says: {run_source(found[256].program.source, [digits])[0][-1]}")

# %% [markdown]
# The picture: the program of the second network as a graph of states. An edge shows the digit read and the answer.

# %%
text = [
    "An edge says: digit read / answer. Three states, the remainders",
    "modulo three, are all that the network needs.",
]
picture = (
    found[256]
    .plot()
    .properties(title=alt.TitleParams(text, orient="bottom", anchor="start", fontSize=11, fontWeight="normal"))
)
picture.save("what_was_learned.png", ppi=80)
