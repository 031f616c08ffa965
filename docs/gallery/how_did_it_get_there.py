# %% [markdown]
# # How did it get there?
#
# Addition modulo 29 from 70 % of the pairs. The network knows its training pairs long before it knows the others. Its
# run is seen in three ways: as curves, in the space of its predictions, and in the space of its parameters.

# %%
import altair as alt
import jax
import numpy as np

from allroads import AdamW, Recording, explore, inpca, path_plane
from allroads.networks.embedding_sum import embedding_sum
from allroads.paths.inpca import bhattacharyya
from allroads.plots.paths import lines
from allroads.targets.modular import modular

p = 29
target = modular(p=p, train_fraction=0.7)
network = embedding_sum((2,), p, vocabulary=p, width=64, embedding=32)
problem = target.problem(network)
aside = (target.held_out.inputs, target.held_out.labels)
explorer = AdamW(learning_rate=0.01, weight_decay=1.0, beta2=0.98)
run = explore(problem, explorer, 2, steps=1500, held_out=aside, record=Recording(checkpoints=48))

# %% [markdown]
# Steps to know 99 % of the training pairs, and of the others.

# %%
steps = {}
for name in ("train", "held_out"):
    known = run.curves[f"{name}_accuracy"][0] >= 0.99
    steps[name] = int(run.steps[known.argmax()])
print(f"first run: knows the training pairs at step {steps['train']}, the others at step {steps['held_out']}")

# %% [markdown]
# The space of predictions: both runs by InPCA of the predictions on all training pairs, at all recorded steps.

# %%
predictions = np.asarray(jax.nn.softmax(run.values.reshape(-1, *run.values.shape[2:]), axis=-1))
predictions = predictions[:, ::8]  # every eighth pair is enough for a picture
shown = inpca(bhattacharyya(predictions, predictions), dimensions=2)
print(f"predictions of both runs: two axes explain {shown.explained_stress[1]:.0%} of the stress")

# %% [markdown]
# The space of parameters: the first run on the plane of its own principal components, and what a random walk with steps
# of the same lengths would show there.

# %%
path = path_plane(problem, run.member(0)["params"])
print(f"parameters of the first run: two components explain {path.explained:.0%} of the variance")
print(f"a random walk with the same steps: {path.walk_explained:.0%}")
print(f"loss at the end: {path.path_losses[-1]:.1e}; on the plane below it: {path.plane.mark_losses[-1]:.1e}")

# %% [markdown]
# The picture. In predictions both runs begin at one place and end at one place, and take two roads between. In
# parameters the plane explains no more of the run than it would of a random walk, and its loss is far from the run's.

# %%
curves = {"training pairs": run.curves["train_accuracy"][0], "other pairs": run.curves["held_out_accuracy"][0]}
learning = lines(run.steps + 1, curves, "1 + step", "accuracy, first run")
learning = learning.encode(x=alt.X("x:Q", scale=alt.Scale(type="log"), title="1 + step")).properties(
    width=220, height=220
)
places = shown.coordinates.reshape(2, -1, 2)
rows = [
    {"x": float(x), "y": float(y), "order": k, "run": f"run {member + 1}"}
    for member, places_of_run in enumerate(places)
    for k, (x, y) in enumerate(places_of_run)
]
roads = (
    alt.Chart(alt.Data(values=rows))
    .mark_line(point=alt.OverlayMarkDef(size=20))
    .encode(
        x=alt.X("x:Q", title="InPCA axis 1 of the predictions"),
        y=alt.Y("y:Q", title="InPCA axis 2"),
        order="order:Q",
        color=alt.Color("run:N", title=None, scale=alt.Scale(range=["#009e73", "#cc79a7"])),
    )
    .properties(width=220, height=220)
)
picture = alt.hconcat(learning, roads, path.plot()).resolve_scale(color="independent", shape="independent")
picture.save("how_did_it_get_there.png", ppi=72)
