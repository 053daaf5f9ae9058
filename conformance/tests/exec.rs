//! Programs in other languages under `gce-auth exec`, unchanged: they find the machine that its
//! arguments describe.
#![cfg(unix)]

mod foreign;

use foreign::{clients, command::Between};

#[test]
fn google_auth_for_python_finds_the_machine() {
    clients::python(Between::Nothing);
}

#[test]
fn google_auth_library_for_node_finds_the_machine() {
    clients::node(Between::Nothing);
}

#[test]
fn a_go_program_finds_the_machine() {
    clients::go(Between::Nothing);
}

#[test]
fn gcloud_finds_the_machine() {
    clients::gcloud(Between::Nothing);
}
