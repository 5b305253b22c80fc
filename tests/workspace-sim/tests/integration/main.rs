//! Tests of the workspace as its clients see it.
