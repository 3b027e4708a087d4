"""Networks: images in, inverse depths or ego-motion out; no losses and no data."""
