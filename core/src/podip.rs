//! Dashed addresses: the label of a pod's address and back.
