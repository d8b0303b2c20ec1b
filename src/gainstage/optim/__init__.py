"""Readable reference optimisers, with torch's argument names, semantics and state dicts."""

from gainstage.optim.adam import Adam as Adam
from gainstage.optim.adam import AdamW as AdamW
from gainstage.optim.ema import EMA as EMA
from gainstage.optim.reference import Reference as Reference
from gainstage.optim.rmsprop import RMSprop as RMSprop
from gainstage.optim.sgd import SGD as SGD
