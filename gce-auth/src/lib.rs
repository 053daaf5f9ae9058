//! Identity for programs on Google Cloud, from the metadata server.
