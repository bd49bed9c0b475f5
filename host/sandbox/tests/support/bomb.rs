//! A component that passes every limit of the scan and costs far more to compile than its size.

/// Kilobytes for each function, and seconds: thousands of blocks over thousands of variables,
/// which register allocation suffers from.
pub(crate) fn compile_bomb(functions: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let mut local = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The upper bits of such a sequence are the random ones.
        (seed >> 16) % 2_000
    };
    let block = |_| {
        let (a, b, c) = (local(), local(), local());
        format!(
            "(block (br_if 0 (local.get {a})) \
             (local.set {a} (i32.add (local.get {b}) (local.get {c}))))"
        )
    };
    let blocks: String = (0..2_700).map(block).collect();
    let function = format!("(func (local {}) {blocks})", "i32 ".repeat(2_000));
    let text = format!("(component (core module {}))", function.repeat(functions));
    wat::parse_str(text).expect("the text is WebAssembly")
}
