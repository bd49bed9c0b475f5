//! A small stack: a fresh instance is as fast as its memory is small.

fn main() {
    println!("cargo::rustc-link-arg=-zstack-size=65536");
    println!("cargo::rerun-if-changed=../../../../wit/v1");
}
