"""The facts that detectors may name, by kind of entity: how each is read off the state. `view.OFFERED` has them all."""
