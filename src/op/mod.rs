//! The provider: a function from a request to a response.
