//! The copy of the contract that the published crate carries is the contract.

use std::path::Path;

#[test]
fn the_copy_of_the_contract_is_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = std::fs::read_to_string(here.join("wit/factory.wit")).unwrap();
    let contract = std::fs::read_to_string(here.join("../../wit/v1/factory.wit")).unwrap();
    assert!(copy == contract, "copy wit/v1/factory.wit to sdk/rust/wit/factory.wit");
}
