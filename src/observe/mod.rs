//! What the program tells its operator: traces, access log, metrics, audit.
