# %% [markdown]
# # Will this network learn this target at all, and how slowly?
#
# Five functions of eight bits, one network, one optimiser, 500 steps. The forecast sees the network at its start and
# trains nothing. Afterwards every function is trained, to see who was right.

# %%
import altair as alt
import numpy as np

from allroads import Adam, LearnabilityOptions, Problem, explore, learnability
from allroads.networks.mlp import mlp

cube = 1.0 - 2 * (np.arange(256)[:, None] >> np.arange(8) & 1)  # all 256 rows of eight signs
targets = {
    "one bit": cube[:, 0],
    "parity of two bits": cube[:, :2].prod(axis=1),
    "majority of three bits": np.sign(cube[:, :3].sum(axis=1)),
    "parity of all eight bits": cube.prod(axis=1),
    "a random table": np.random.default_rng(0).choice([-1.0, 1.0], size=256),
}
network = mlp((8,), 1, widths=(32,))
explorer, within = Adam(learning_rate=0.003), 500

# %% [markdown]
# The forecast: how many steps until the loss is a tenth of what the best constant answer has, and with what probability
# they are no more than 500.

# %%
options = LearnabilityOptions(seeds=1, draws=8)
forecast = learnability(network, cube, targets, "mse", explorer, within=within, options=options)

# %% [markdown]
# What happens: four runs per target, of 1,000 steps each.

# %%
rows = []
for name, labels in targets.items():
    problem = Problem(network, "mse", cube, labels)
    losses = explore(problem, explorer, 4, steps=2 * within)
    share = np.median(losses.curves["train_loss"], axis=0) / labels.var()
    reached = share <= options.threshold
    steps = int(losses.steps[reached.argmax()]) if reached.any() else None
    said = forecast[name]
    rows.append({"target": name, "predicted": said.steps, "low": said.interval[0], "high": said.interval[1]})
    rows[-1] |= {
        "chance": said.probability,
        "steps": steps or 2 * within,
        "what": "learned" if steps else "not learned",
    }
    print(f"{name}: chance {said.probability:.2f}, predicted {said.steps:.0f} steps, took {steps or 'more than 1000'}")

# %% [markdown]
# The picture: the interval that should hold 90 % of the runs, and what the runs took.

# %%
base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("target:N", sort=list(targets), title=None))
steps = alt.Scale(type="log", domain=[20, 5000])
band = base.mark_bar(height=10, color="#9ecae1").encode(x=alt.X("low:Q", scale=steps, title="steps"), x2="high:Q")
middle = base.mark_tick(color="#0072b2", thickness=3, height=16).encode(x=alt.X("predicted:Q", scale=steps))
took = base.mark_point(filled=True, size=110, opacity=1, stroke="white").encode(
    x=alt.X("steps:Q", scale=steps),
    shape=alt.Shape(
        "what:N", title="runs", scale=alt.Scale(domain=["learned", "not learned"], range=["circle", "cross"])
    ),
    color=alt.Color(
        "what:N", title="runs", scale=alt.Scale(domain=["learned", "not learned"], range=["#009e73", "#d55e00"])
    ),
)
limit = alt.Chart(alt.Data(values=[{"steps": within}])).mark_rule(strokeDash=[4, 3]).encode(x="steps:Q")
text = [
    "Blue: predicted steps with their 90 % interval. Dashed: 500 steps.",
    "A cross stands where the runs were stopped.",
]
picture = alt.layer(band, middle, limit, took).properties(
    width=330,
    height=170,
    title=alt.TitleParams(text, orient="bottom", anchor="start", fontSize=11, fontWeight="normal"),
)
picture.save("will_it_be_learned.png", ppi=80)
