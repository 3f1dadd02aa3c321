//! JOSE as this house needs it: keys, signatures, one strict verifier.
