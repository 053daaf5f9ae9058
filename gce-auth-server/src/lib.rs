//! The metadata server protocol, server side.
