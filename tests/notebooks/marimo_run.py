import marimo

app = marimo.App()


@app.cell
def _():
    import torch

    import gainstage as gs

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gs.watch(model, optimizer) as run:
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    run
    return gs, run


@app.cell
def _(gs, run):
    gs.plot.levels(run)


@app.cell
def _(run):
    print(run.diagnose())


if __name__ == "__main__":
    app.run()
