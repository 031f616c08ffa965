# %% [markdown]
# # Would another run have ended elsewhere?
#
# Two networks learn the digits of scikit-learn from different starts. On the straight line between them the loss rises.
# Is that a mountain between two solutions, or only another order of the hidden units?

# %%
import altair as alt
import numpy as np

from allroads import Adam, align, barrier, explore, loss_plane
from allroads.networks.mlp import mlp
from allroads.plots.paths import lines
from allroads.targets.digits import digits

target = digits(flatten=True, train_size=1000)
network = mlp((64,), 10, widths=(128,))
problem = target.problem(network)
aside = (target.held_out.inputs, target.held_out.labels)
run = explore(problem, Adam(learning_rate=0.003), 2, steps=150, held_out=aside)
a, b = run.end(0), run.end(1)
accuracy = run.curves["held_out_accuracy"][:, -1]
print(f"accuracy on held-out digits: {accuracy[0]:.3f} and {accuracy[1]:.3f}")

# %% [markdown]
# The barrier as the runs ended, and after the hidden units of b were put into the order of a's. The function of b
# stays.

# %%
moved = align(network, a, b, problem.inputs).params
plain, aligned = barrier(problem, a, b), barrier(problem, a, moved)
print(f"barrier: {plain.height:.3f}, aligned: {aligned.height:.3f}")

# %% [markdown]
# The null: b with its hidden units in an order drawn at random, nine times.


# %%
def reordered(params, order):
    """The same function with its hidden units in another order."""
    first, last = params["layers"]
    return {
        "layers": [
            {"weight": first["weight"][:, order], "bias": first["bias"][order]},
            {"weight": last["weight"][order], "bias": last["bias"]},
        ]
    }


rng = np.random.default_rng(0)
null = [barrier(problem, a, reordered(b, rng.permutation(128))) for _ in range(9)]
heights = sorted(one.height for one in null)
print(f"barrier to random orders: median {heights[4]:.3f}, lowest {heights[0]:.3f}")
print(f"random orders with a barrier as low as the aligned one: {sum(h <= aligned.height for h in heights)} of 9")

# %% [markdown]
# The picture: the loss on the lines, and on the plane through a, b and the aligned b. Both b compute one function.
# Between a and one of them is a ridge, between a and the other nearly none.

# %%
plane = loss_plane(problem, a, b, moved, names=("a", "b", "b aligned"))
profiles = {"b as it ended": plain.losses, "b aligned": aligned.losses}
medians = np.median([one.losses for one in null], axis=0)
curves = lines(plain.ts, {**profiles, "b in random order (median of 9)": medians}, "from a (0) to b (1)", "loss")
curves = curves.properties(width=260, height=260)
picture = alt.hconcat(curves, plane.plot()).resolve_scale(color="independent")
picture.save("would_another_run_end_elsewhere.png", ppi=72)
