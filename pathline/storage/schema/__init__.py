"""The tables by subject. `pathline.storage.tables` names them all."""
