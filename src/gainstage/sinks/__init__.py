"""Sinks: what a watch measures, handed on to TensorBoard, W&B, MLflow, trackio or a function.

Free of torch. Each tracker needs its own package, which is imported when a sink is made.
"""

from gainstage.sinks.reading import Reading as Reading
from gainstage.sinks.reading import Sink as Sink
from gainstage.sinks.selection import DEFAULT as DEFAULT
from gainstage.sinks.selection import choose as choose
from gainstage.sinks.tracker import TRACKERS as TRACKERS
from gainstage.sinks.trackers.mlflow import MLflow as MLflow
from gainstage.sinks.trackers.tensorboard import TensorBoard as TensorBoard
from gainstage.sinks.trackers.trackio import Trackio as Trackio
from gainstage.sinks.trackers.wandb import WandB as WandB
